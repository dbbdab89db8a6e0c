"""What a run reads is one state of the warehouse, in which a table that was just swapped in has its rows."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from terrane_features.materialize.snapshot import Source, one_snapshot, read_window

pytestmark = pytest.mark.integration

SWAP = """
    alter table gold.user_journal_features rename to before;
    create table gold.user_journal_features as select * from gold.before;
    drop table gold.before cascade
"""


def rows_read(stores) -> int:
    with one_snapshot(stores.warehouse, [stores.view]) as (connection, _):
        return read_window(connection, Source.of(stores.view)).rows


def test_a_table_that_is_being_swapped_is_waited_for_and_never_read_as_empty(stores) -> None:
    with ThreadPoolExecutor(1) as pool, stores.warehouse.connect() as builder:
        builder.execute(SWAP)
        read = pool.submit(rows_read, stores)
        while not stores.sql("select 1 from pg_locks where not granted") and not read.done():
            time.sleep(0.02)
        builder.commit()
        assert read.result() == stores.users


def test_a_table_is_not_swapped_while_it_is_read(stores) -> None:
    with one_snapshot(stores.warehouse, [stores.view]) as (connection, _), stores.warehouse.connect() as builder:
        builder.execute("set lock_timeout = 200")
        with pytest.raises(Exception, match="lock timeout"):
            builder.execute("alter table gold.user_journal_features rename to before")
        assert read_window(connection, Source.of(stores.view)).rows == stores.users


def test_a_view_whose_table_is_not_there_holds_up_no_snapshot(stores) -> None:
    stores.sql("drop table gold.user_journal_features cascade")
    with one_snapshot(stores.warehouse, [stores.view]) as (connection, snapshot):
        assert snapshot
        assert connection.execute("select 1").fetchone() == (1,)
