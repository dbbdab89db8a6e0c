"""An object that many replace at once loses no replacement."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import obstore
import pytest

from terrane.object_store import DATA_LAKE, ObjectStoreResource
from terrane.object_store.compare_and_swap import Contended, replace

if TYPE_CHECKING:
    from terrane.object_store import Bucket

pytestmark = pytest.mark.integration


@pytest.fixture
def lake(object_store: ObjectStoreResource) -> Bucket:
    return object_store.bucket(DATA_LAKE)


def increment(content: bytes | None) -> bytes:
    return str(int(content or b"0") + 1).encode()


def test_no_increment_is_lost_when_many_write_at_once(lake: Bucket) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: replace(lake, "places/number", increment), range(24)))
    assert bytes(obstore.get(lake, "places/number").bytes()) == b"24"


def test_what_is_left_as_it_is_is_not_written(lake: Bucket) -> None:
    replace(lake, "a/b", lambda _: b"1")
    before = obstore.head(lake, "a/b")["last_modified"]
    assert replace(lake, "a/b", lambda _: None) == b"1"
    assert replace(lake, "a/b", lambda content: content) == b"1"
    assert obstore.head(lake, "a/b")["last_modified"] == before


def test_a_writer_that_read_before_another_wrote_reads_again(s3_store: ObjectStoreResource) -> None:
    lake, seen = s3_store.bucket(DATA_LAKE), []

    def change(content: bytes | None) -> bytes:
        seen.append(content)
        if len(seen) == 1:
            obstore.put(lake, "a", b"of another")
        return (content or b"") + b"+ours"

    assert replace(lake, "a", change) == b"of another+ours"
    assert seen == [None, b"of another"]


def test_who_is_never_first_says_so(s3_store: ObjectStoreResource) -> None:
    lake, number = s3_store.bucket(DATA_LAKE), iter(range(1000))

    def change(content: bytes | None) -> bytes:
        obstore.put(lake, "a", str(next(number)).encode())
        return b"ours"

    with pytest.raises(Contended, match="other writers of a were first"):
        replace(lake, "a", change, wait_s=0.1)


def test_a_lock_that_is_held_too_long_is_told(folder_store: ObjectStoreResource) -> None:
    lake, held, done = folder_store.bucket(DATA_LAKE), threading.Event(), threading.Event()

    def hold(_: bytes | None) -> None:
        held.set()
        done.wait(10)

    holder = threading.Thread(target=lambda: replace(lake, "places/a", hold))
    holder.start()
    held.wait(10)
    try:
        with pytest.raises(Contended, match="holds the lock of the folder of places/a"):
            replace(lake, "places/a", increment, wait_s=0.05)
    finally:
        done.set()
        holder.join()
