"""The object store: buckets behind one interface, whether they are folders or S3.

`MINIO_ENDPOINT` decides: `host:port` (or an `http(s)://` address) is any S3 server, `file:///folder` is a folder in
which every bucket is a sub-folder. What callers get is an obstore store, so the same calls list, read, and write both.

A bucket is asked for by its purpose (LANDING_ZONE, DATA_LAKE, COMPUTE_LOGS), which is its name too, ended by the
environment, unless a variable gives it another: on a store that everybody shares those names are taken.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import dagster as dg
from pydantic import Field

from terrane import names

if TYPE_CHECKING:
    from obstore.store import ClientConfig, LocalStore, S3Store

    Bucket = LocalStore | S3Store

LANDING_ZONE = names.LANDING_ZONE
DATA_LAKE = names.DATA_LAKE
COMPUTE_LOGS = names.COMPUTE_LOGS
# Of each bucket, the variable that holds its name where it is not that of its purpose.
NAME_VARIABLES = {
    LANDING_ZONE: "LANDING_ZONE_BUCKET",
    DATA_LAKE: "DATA_LAKE_BUCKET",
    COMPUTE_LOGS: "COMPUTE_LOGS_BUCKET",
}
KEY_VARIABLES = ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD")
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
        access_key: the S3 user. Without it, keys are those that the process has from elsewhere, as AWS' own programs
            look for them: AWS_* variables, a workload's identity, the machine's role. A folder has no use for it.
        secret_key: the S3 password.
        region: what the signature names; MinIO takes any.
        bucket_names: of each purpose, the bucket's name where it is another.
        prefix: the folder within each bucket below which everything lies; empty for all of the bucket.
        ca_file: certificates, in PEM, that are trusted beside the system's.
    """

    endpoint: str
    access_key: str = ""
    secret_key: str = ""
    region: str = DEFAULT_REGION
    bucket_names: dict[str, str] = Field(default_factory=dict)
    prefix: str = ""
    ca_file: str = ""

    @classmethod
    def from_env(cls) -> ObjectStoreResource:
        """The resource that reads the platform's variables: addresses and keys when a run starts, the rest now."""
        keys = [dg.EnvVar(name) if os.environ.get(name) else "" for name in KEY_VARIABLES]
        return cls(endpoint=dg.EnvVar("MINIO_ENDPOINT"), access_key=keys[0], secret_key=keys[1], **_from_process())

    @classmethod
    def from_process(cls) -> ObjectStoreResource:
        """The resource with the values of those variables now. Raises KeyError without MINIO_ENDPOINT."""
        access_key, secret_key = (os.environ.get(name, "") for name in KEY_VARIABLES)
        return cls(
            endpoint=os.environ["MINIO_ENDPOINT"], access_key=access_key, secret_key=secret_key, **_from_process()
        )

    def name(self, purpose: str) -> str:
        """The name of a purpose's bucket in this environment. Raises terrane.names.BadName."""
        return self.bucket_names.get(purpose) or names.current().bucket(purpose)

    def bucket(self, purpose: str) -> Bucket:
        """The bucket, below the prefix, ready for obstore's functions.

        A folder's bucket is made when missing; an S3 bucket must exist.
        """
        from obstore.store import LocalStore, S3Store

        if self.endpoint.startswith("file://"):
            return LocalStore(prefix=self.folder() / self.name(purpose) / self.prefix, mkdir=True)
        url = self.url()
        options: ClientConfig = {"allow_http": url.startswith("http://"), "timeout": "60s", "connect_timeout": "5s"}
        if self.ca_file:
            options["root_certificate"] = self._certificates()
        return S3Store(
            self.name(purpose),
            prefix=self.prefix or None,
            endpoint=url,
            # Under this name as well, or AWS_ENDPOINT_URL_S3 of the environment would win.
            aws_endpoint_url_s3=url,
            region=self.region,
            virtual_hosted_style_request=False,
            client_options=options,
            **self._keys("access_key_id", "secret_access_key"),
        )

    def _keys(self, user: str, password: str) -> dict[str, Any]:
        """The keys under a library's names for them; nothing without a user, which leaves it to the library."""
        if bool(self.access_key) != bool(self.secret_key):
            raise ValueError(f"{' and '.join(KEY_VARIABLES)} are set together, or neither of them")
        return {user: self.access_key, password: self.secret_key} if self.access_key else {}

    def _certificates(self) -> bytes:
        try:
            return Path(self.ca_file).read_bytes()
        except OSError as error:
            raise ValueError(f"AWS_CA_BUNDLE names {self.ca_file}, which cannot be read: {error.strerror}") from error

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


def versions_of_objects(bucket: Bucket, prefix: str) -> dict[str, str]:
    """The keys below the prefix in their order, and what tells one content of each from another. Costs a listing."""
    import obstore

    found = {}
    for page in obstore.list(bucket, prefix=prefix):
        for each in page:
            found[each["path"]] = f"{each['e_tag']} {each['size']} {each['last_modified'].isoformat()}"
    return dict(sorted(found.items()))


def fetch_object(bucket: Bucket, key: str, target: Path) -> None:
    """Writes an object's content to a file, piece by piece. Raises obstore's errors as they are."""
    import obstore

    with target.open("wb") as sink:
        for piece in obstore.get(bucket, key).stream():
            sink.write(piece)


def s3_client(store: ObjectStoreResource) -> Any:
    """A boto3 client of the store, for what concerns buckets themselves."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=store.url(),
        region_name=store.region,
        verify=store.ca_file or None,
        **store._keys("aws_access_key_id", "aws_secret_access_key"),
    )


def _from_process() -> dict[str, Any]:
    """What is no secret and the same for all runs of a process."""
    given = {purpose: os.environ[variable] for purpose, variable in NAME_VARIABLES.items() if os.environ.get(variable)}
    return {
        "region": os.environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION,
        "bucket_names": given,
        "prefix": os.environ.get("S3_PREFIX", "").strip("/"),
        "ca_file": os.environ.get("AWS_CA_BUNDLE", ""),
    }


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
        prefix=bucket.prefix,
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
