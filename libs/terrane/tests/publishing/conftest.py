"""The lake as a folder and as S3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from terrane.object_store import DATA_LAKE, ObjectStoreResource

if TYPE_CHECKING:
    from terrane.object_store import Bucket


@pytest.fixture
def lake(object_store: ObjectStoreResource) -> Bucket:
    return object_store.bucket(DATA_LAKE)
