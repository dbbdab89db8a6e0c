"""A write-ahead log is taken into its database: a broken one is its producer's fault, and a disk of ours is not."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from terrane_spatial.errors import BatchRejectedError, StageError
from terrane_spatial.files import journal

pytestmark = pytest.mark.unit


@pytest.fixture
def with_log(tmp_path: Path) -> Path:
    """A database whose rows are all in its write-ahead log yet."""
    made = tmp_path / "made.gpkg"
    connection = sqlite3.connect(made)
    connection.execute("pragma journal_mode = wal")
    connection.execute("create table t (a)")
    connection.executemany("insert into t values (?)", [("x" * 1000,) for _ in range(100)])
    connection.commit()
    copied = tmp_path / "x.gpkg"
    for suffix in ("", journal.LOG):
        shutil.copy(f"{made}{suffix}", f"{copied}{suffix}")
    connection.close()
    return copied


def test_what_the_log_has_is_in_the_database_afterwards(with_log: Path) -> None:
    journal.take_in(with_log, "x.gpkg")
    assert not with_log.with_name(with_log.name + journal.LOG).exists()
    assert sqlite3.connect(with_log).execute("select count(*) from t").fetchone() == (100,)


def test_a_database_that_is_none_is_refused(with_log: Path) -> None:
    for file in (with_log, with_log.with_name(with_log.name + journal.LOG)):
        file.write_bytes(b"no database at all" * 100)
    with pytest.raises(BatchRejectedError, match="file is not a database"):
        journal.take_in(with_log, "x.gpkg")


def test_a_disk_that_takes_no_more_rejects_nothing(with_log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LIMITS", journal.LIMITS._replace(written_bytes=8192))
    with pytest.raises(StageError, match="taking in its write-ahead log ended with code 1"):
        journal.take_in(with_log, "x.gpkg")
