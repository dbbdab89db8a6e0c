"""The object store: buckets behind one interface, whether they are folders or S3.

`MINIO_ENDPOINT` decides: `host:port` (or an `http(s)://` address) is any S3 server, `file:///folder` is a folder in
which every bucket is a sub-folder. What callers get is an obstore store, so the same calls list, read, and write both.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import dagster as dg

if TYPE_CHECKING:
    from obstore.store import LocalStore, S3Store

    Bucket = LocalStore | S3Store

LANDING_ZONE = "landing-zone"
DATA_LAKE = "data-lake"
COMPUTE_LOGS = "compute-logs"
DEFAULT_REGION = "us-east-1"


class ObjectStoreResource(dg.ConfigurableResource):
    """Opens buckets of one S3 server, or of one folder.

    Attributes:
        endpoint: `host:port`, `http(s)://host:port` or `file:///folder`.
        access_key: the S3 user; a folder has no use for it.
        secret_key: the S3 password.
        region: what the signature names; MinIO takes any.
    """

    endpoint: str
    access_key: str = ""
    secret_key: str = ""
    region: str = DEFAULT_REGION

    @classmethod
    def from_env(cls) -> ObjectStoreResource:
        """The resource that reads the platform's variables when a run starts."""
        return cls(
            endpoint=dg.EnvVar("MINIO_ENDPOINT"),
            access_key=dg.EnvVar("MINIO_ROOT_USER"),
            secret_key=dg.EnvVar("MINIO_ROOT_PASSWORD"),
            region=os.environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION,
        )

    def bucket(self, name: str) -> Bucket:
        """The bucket, ready for obstore's functions.

        A folder's bucket is made when missing; an S3 bucket must exist.
        """
        from obstore.store import LocalStore, S3Store

        if self.endpoint.startswith("file://"):
            return LocalStore(prefix=self.folder() / name, mkdir=True)
        url = self.url()
        return S3Store(
            name,
            endpoint=url,
            access_key_id=self.access_key,
            secret_access_key=self.secret_key,
            region=self.region,
            virtual_hosted_style_request=False,
            client_options={"allow_http": url.startswith("http://"), "timeout": "60s", "connect_timeout": "5s"},
        )

    def url(self) -> str:
        """The address with its scheme, which is HTTP where the endpoint names none."""
        return self.endpoint if "://" in self.endpoint else f"http://{self.endpoint}"

    def folder(self) -> Path:
        """The folder that holds the buckets. Raises ValueError where the store is no folder."""
        parts = urlsplit(self.endpoint)
        if parts.scheme != "file":
            raise ValueError(f"{self.endpoint} is an S3 server, not a folder")
        return Path(unquote(parts.path))


def s3_client(store: ObjectStoreResource) -> Any:
    """A boto3 client of the store, for what concerns buckets themselves."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=store.url(),
        aws_access_key_id=store.access_key,
        aws_secret_access_key=store.secret_key,
        region_name=store.region,
    )
