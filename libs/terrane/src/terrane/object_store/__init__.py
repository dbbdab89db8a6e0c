"""The object store: its buckets, writing into them, and replacing one object where others write as well."""

from typing import TYPE_CHECKING

from terrane.object_store.store import (
    COMPUTE_LOGS,
    DATA_LAKE,
    LANDING_ZONE,
    ObjectStoreResource,
    StoreFull,
    fetch_object,
    put,
    s3_client,
    versions_of_objects,
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
    "fetch_object",
    "put",
    "s3_client",
    "versions_of_objects",
]
