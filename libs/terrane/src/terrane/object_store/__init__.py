"""The object store: its buckets, writing into them, and replacing one object where others write as well."""

from typing import TYPE_CHECKING

from terrane.object_store.store import (
    COMPUTE_LOGS,
    DATA_LAKE,
    LANDING_ZONE,
    ObjectStoreResource,
    StoreFull,
    put,
    s3_client,
)

if TYPE_CHECKING:
    from terrane.object_store.store import Bucket

__all__ = [
    "COMPUTE_LOGS",
    "DATA_LAKE",
    "LANDING_ZONE",
    "Bucket",
    "ObjectStoreResource",
    "StoreFull",
    "put",
    "s3_client",
]
