"""Which rows are served, and which faults stop all of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from terrane_features.checks.inspection import NotWritten, refuse
from terrane_features.checks.rows import find_faults
from terrane_features.materialize.snapshot import Source, newest_rows

pytestmark = pytest.mark.integration
END = datetime(2027, 1, 1, tzinfo=UTC)


def test_a_table_with_one_row_an_entity_is_without_fault(things) -> None:
    things.fill("n", 100)
    faults = find_faults(things.connection, things.view, END)
    assert (faults.without, faults.ambiguous, faults.repeated) == ({}, 0, False)
    refuse(things.view, faults)


def test_missing_keys_and_times_are_counted_by_column(things) -> None:
    things.fill("n", 100)
    things.connection.execute("update gold.things set id = null where id <= 3")
    things.connection.execute("update gold.things set at = null where id = 50")
    faults = find_faults(things.connection, things.view, END)
    assert faults.without == {"id": 3, "at": 1}
    with pytest.raises(NotWritten, match=r"3 rows of gold\.things have no id, and 1 rows of gold\.things have no at"):
        refuse(things.view, faults)


def test_a_history_of_an_entity_is_no_fault(things) -> None:
    things.fill("n", 100)
    things.connection.execute("insert into gold.things select id, at - interval '1 day', created, 0 from gold.things")
    faults = find_faults(things.connection, things.view, END)
    assert (faults.repeated, faults.ambiguous) == (True, 0)


def test_a_later_created_row_of_one_event_is_a_correction_and_no_fault(things) -> None:
    things.fill("n", 100)
    things.connection.execute("insert into gold.things select id, at, created + interval '1 day', 0 from gold.things")
    assert find_faults(things.connection, things.view, END).ambiguous == 0


def test_two_rows_of_one_time_are_a_fault_and_their_entities_are_named(things) -> None:
    things.fill("n", 100)
    things.connection.execute("insert into gold.things select * from gold.things where id in (7, 8)")
    faults = find_faults(things.connection, things.view, END)
    assert (faults.ambiguous, sorted(faults.examples)) == (2, ["7", "8"])
    with pytest.raises(NotWritten, match=r"2 entities of gold\.things have several rows of one time.*id (7; 8|8; 7)"):
        refuse(things.view, faults)


def test_rows_of_the_future_are_nobodys_fault_yet(things) -> None:
    things.fill("n", 10)
    things.connection.execute("insert into gold.things select id, '2028-01-01', created from gold.things")
    things.connection.execute("insert into gold.things select id, '2028-01-01', created from gold.things where id = 1")
    assert find_faults(things.connection, things.view, END).repeated is False


def test_of_several_rows_the_newest_event_is_served_and_of_one_event_the_last_created(things) -> None:
    things.fill("n", 2)
    things.connection.execute("insert into gold.things select id, at - interval '1 day', created, 50 from gold.things")
    things.connection.execute(
        "insert into gold.things select id, at, created + interval '1 day', 60 from gold.things where whole = 2"
    )
    things.connection.execute("insert into gold.things select id, at, null, 70 from gold.things where whole = 60")
    query = newest_rows(Source.of(things.view), ["id", "whole"], END, unique=False)
    assert sorted(things.connection.execute(query).fetchall()) == [(1, 1), (2, 60)]
