"""A person who is forgotten is in no store any more, by a search for the id in each, and does not come back."""

import csv
import io
from datetime import UTC, datetime

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faulty_api import rows_of
from sources import entry, user

from terrane.object_store import DATA_LAKE
from terrane.publishing import list_commits, newest_commit, publish

pytestmark = [pytest.mark.integration, pytest.mark.slow]

# In no other value of the rows below, so that a search for the digits finds the person alone.
WHO, OTHER = 77_123, 88_456
DAY = ("2026-01-01", "2026-01-01")
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def everything_in_the_warehouse(query):
    """Every row of every table, as text, by table; digests are none of the id's."""
    tables = query(
        "select table_schema, table_name from information_schema.tables where table_type = 'BASE TABLE' "
        "and table_schema not in ('pg_catalog', 'information_schema')"
    )
    return {
        f"{schema}.{table}": [row for (row,) in query(f'select t::text from "{schema}"."{table}" t')]
        for schema, table in tables
        if table != "forgotten"
    }


def everything_in_the_lake(lake):
    """Every row of every Parquet and CSV file, as text, and every other object's bytes, by key."""
    found = {}
    for page in obstore.list(lake):
        for each in page:
            key = str(each["path"])
            content = bytes(obstore.get(lake, key).bytes())
            if key.endswith(".parquet"):
                found[key] = [str(row) for row in pq.read_table(io.BytesIO(content)).to_pylist()]
            elif key.endswith(".csv"):
                found[key] = [str(row) for row in csv.reader(io.StringIO(content.decode()))]
            else:
                found[key] = [content.decode(errors="replace")]
    return found


def having(found, who):
    return {name for name, rows in found.items() if any(str(who) in row for row in rows)}


def newest(lake, dataset):
    commit = newest_commit(lake, dataset)
    assert commit
    return commit


def parquet(**columns):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


@pytest.fixture
def told(location, api, places, folder_store):
    """The person in every store: raw, what was refused, gold, a snapshot, exports, a training set, a value."""
    api.fault = rows_of(
        {
            "/v1/users": [user(WHO), user(OTHER)],
            "/v1/journal-entries": [
                entry(1, "2026-01-01T10:00:00Z", by=WHO),
                entry(2, "2026-01-01T11:00:00Z", by=OTHER),
                entry(3, "2026-01-01T12:00:00Z", by=WHO) | {"place": "Be\0rn"},
            ],
        }
    )
    assert location.run("raw/users", "raw/journal_entries", days=DAY).success
    assert location.run("raw/game_types", "raw/places").success
    for _ in range(2):
        built = location.run(*location.models(), "exports/user_journal_features")
        assert built.success, location.failures(built)
    with location.resources["warehouse"].connect() as connection:
        connection.execute("create schema history")
        connection.execute("create table history.users as select * from staging.users")
    lake = folder_store.bucket(DATA_LAKE)
    rows = parquet(user_id=[WHO, OTHER, None], label=["a", "b", "c"])
    publish(lake, "training_sets/churn", "t1", "run", {"rows.parquet": rows}, {"rows": 3}, data_time=MONDAY)
    text = f'user_id,said\n{WHO},"a ""b"",\nc"\n{OTHER},"d,\ne"\n{OTHER},""\n{OTHER},\n'
    publish(lake, "exports/said", "s1", "run", {"day=1/said.csv": text.encode()})
    publish(lake, "asset_values/of", "v1", "run", {"value.parquet": rows}, {"library": "pyarrow", "rows": 3})
    return lake


def forget(location, who, kind="users"):
    return location.run(job="forget", config={"forget_person": {"kind": kind, "id": str(who)}})


def test_nothing_of_the_person_is_left_and_all_of_the_others(told, location, query):
    before = everything_in_the_warehouse(query), everything_in_the_lake(told)
    assert having(before[0], WHO) >= {
        "raw.users",
        "raw.journal_entries",
        "raw.rejected",
        "gold.user_journal_features",
        "history.users",
    }
    assert {name.rpartition("/")[2] for name in having(before[1], WHO)} == {
        "user_journal_features.parquet",
        "rows.parquet",
        "said.csv",
        "value.parquet",
    }
    result = forget(location, WHO)
    assert result.success, location.failures(result)
    after = everything_in_the_warehouse(query), everything_in_the_lake(told)
    assert having(after[0], WHO) == having(after[1], WHO) == set()
    assert having(after[0], OTHER) == having(before[0], OTHER)
    for name, rows in before[0].items():
        assert [row for row in rows if str(WHO) not in row] == after[0][name], name
    assert len(list_commits(told, "exports/user_journal_features")) == 2
    churn = newest(told, "training_sets/churn")
    assert churn.order[0] == MONDAY
    said = bytes(obstore.get(told, newest(told, "exports/said").objects[0].key).bytes()).decode()
    assert said == f'user_id,said\n{OTHER},"d,\ne"\n{OTHER},""\n{OTHER},\n'
    again = forget(location, WHO)
    assert again.success
    assert newest(told, "training_sets/churn") == churn


def test_the_person_does_not_come_back_when_days_are_read_again(told, location, query):
    assert forget(location, WHO).success
    assert location.run("raw/users", "raw/journal_entries", days=DAY).success
    built = location.run(*location.models(), "exports/user_journal_features")
    assert built.success, location.failures(built)
    assert having(everything_in_the_warehouse(query), WHO) == having(everything_in_the_lake(told), WHO) == set()
    assert query("select user_id, entries_total from gold.user_journal_features") == [(OTHER, 1)]


def test_a_kind_that_nobody_knows_is_refused(location):
    (message,) = location.failures(forget(location, WHO, "places"))
    assert "this location knows users, and not places; nothing was forgotten" in message
