"""The object store: buckets behind one interface, whether they are folders or S3.

`MINIO_ENDPOINT` decides: `host:port` (or an `http(s)://` address) is any S3 server, `file:///folder` is a folder in
which every bucket is a sub-folder. What callers get is an obstore store, so the same calls list, read, and write both.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import dagster as dg

from terrane import names

if TYPE_CHECKING:
    from obstore.store import LocalStore, S3Store

    Bucket = LocalStore | S3Store

LANDING_ZONE = names.LANDING_ZONE
DATA_LAKE = names.DATA_LAKE
COMPUTE_LOGS = names.COMPUTE_LOGS
DEFAULT_REGION = "us-east-1"
# As a store tells its setting aws_endpoint_url_s3; it is not taken under this name.
ENDPOINT_OF_S3 = "endpoint_url_s3"
# Large enough to need a block of its own on a disk, small enough to cost nothing.
PROBE_BYTES = 1 << 20
# How servers and file systems say that a disk is full.
FULL = ("XMinioStorageFull", "QuotaExceeded", "507 Insufficient Storage", "No space left on device")


class StoreFull(RuntimeError):
    """The object store has no room left."""

    def __init__(self, bucket: Bucket, key: str):
        super().__init__(
            f"The object store at {_address(bucket)} is full, and did not take {key}. Delete what is no longer needed, "
            "or give it a larger disk (minio.persistence.size on Kubernetes), then re-execute the run"
        )


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

    def name(self, purpose: str) -> str:
        """The name of a purpose's bucket in this environment."""
        return names.current().bucket(purpose)

    def bucket(self, purpose: str) -> Bucket:
        """The bucket of a purpose, ready for obstore's functions.

        A folder's bucket is made when missing; an S3 bucket must exist.
        """
        from obstore.store import LocalStore, S3Store

        if self.endpoint.startswith("file://"):
            return LocalStore(prefix=self.folder() / self.name(purpose), mkdir=True)
        url = self.url()
        return S3Store(
            self.name(purpose),
            endpoint=url,
            # Under this name as well, or AWS_ENDPOINT_URL_S3 of the environment would win.
            aws_endpoint_url_s3=url,
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


def put(bucket: Bucket, key: str, content: Path | bytes, *, create: bool = False) -> None:
    """Writes an object; with `create`, only where there is none.

    Raises StoreFull, obstore's AlreadyExistsError with `create`, and obstore's other errors as they are.
    """
    import obstore
    from obstore.exceptions import AlreadyExistsError, BaseError

    try:
        if create:
            obstore.put(bucket, key, content, mode="create", use_multipart=False)
        else:
            obstore.put(bucket, key, content)
    except AlreadyExistsError:
        raise
    except BaseError as error:
        if _says_full(error) or (not create and _refuses_as_full(bucket, f"{key}.probe")):
            raise StoreFull(bucket, key) from error
        raise


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


def _refuses_as_full(bucket: Bucket, key: str) -> bool:
    """Whether the store says it is full when asked once more, without retries.

    MinIO answers 507 to a write, but a write during which its disk fills up ends with an error about the body.
    """
    import obstore
    from obstore.exceptions import BaseError
    from obstore.store import S3Store

    if not isinstance(bucket, S3Store):
        return False
    settings: Any = dict(bucket.config)
    once = S3Store(
        aws_endpoint_url_s3=settings.pop(ENDPOINT_OF_S3),
        config=settings,
        client_options=bucket.client_options,
        retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=30)},
    )
    try:
        obstore.put(once, key, bytes(PROBE_BYTES))
    except BaseError as error:
        return _says_full(error)
    obstore.delete(once, key)
    return False


def _says_full(error: Exception) -> bool:
    return any(word in str(error) for word in FULL)


def _address(bucket: Bucket) -> str:
    from obstore.store import LocalStore

    return str(bucket.prefix) if isinstance(bucket, LocalStore) else str(bucket.config.get("endpoint"))
