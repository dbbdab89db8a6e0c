"""Our join holds what stock's offline store answers, row for row, and what a plain SQL join does."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from joins import TABLES, VIEWS, oracle, put_rows, rows_at_random

from terrane_features.registry.apply import register
from terrane_features.training.failures import NotJoined
from terrane_features.training.options import JoinOptions
from terrane_features.training.point_in_time import write_training_set

pytestmark = pytest.mark.integration
QUESTIONS = "select user_id, place, event_timestamp, label from gold.questions"
SENT = "select user_id, recipient, event_timestamp, label from gold.questions"
Rows = Counter[tuple[Any, ...]]


@pytest.fixture
def joined(stores):
    """Stores over views of every kind."""
    for file in stores.feast.folder.glob("*.py"):
        file.unlink()
    (stores.feast.folder / "views.py").write_text(VIEWS)
    stores.sql("drop schema gold cascade")
    stores.sql(TABLES)
    register(stores.feast, stores.warehouse, allow_deletions=False, run_id="test")
    return stores


def plain(value: Any) -> Any:
    """Times without a zone are UTC's, as in stock's answers."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return float(value) if isinstance(value, Decimal) else value


def rows_of(table: pa.Table, columns: list[str]) -> Rows:
    return Counter(tuple(map(plain, row)) for row in zip(*(table.column(c).to_pylist() for c in columns), strict=True))


def ours(joined, target: Path, service: str, query: str, options: JoinOptions) -> tuple[Rows, list[str]]:
    write_training_set(joined.feast, joined.warehouse, service, query, target, options)
    table = pq.read_table(target)
    return rows_of(table, table.column_names), table.column_names


def stocks(joined, service: str, query: str, options: JoinOptions, columns: list[str]) -> Rows:
    store = joined.feast.store()
    job = store.get_historical_features(
        entity_df=query,
        features=store.get_feature_service(service),
        full_feature_names=options.full_feature_names,
        filter_by_created_timestamp=options.known_at_the_time,
    )
    table = job.to_arrow()
    assert sorted(table.column_names) == sorted(columns)
    return rows_of(table, columns)


@pytest.mark.parametrize("known_at_the_time", [True, False])
def test_every_kind_of_view_is_joined_as_stock_and_sql_do(joined, tmp_path: Path, known_at_the_time: bool) -> None:
    options = JoinOptions(known_at_the_time=known_at_the_time)
    for seed in range(6):
        put_rows(joined, rows_at_random(seed))
        got, columns = ours(joined, tmp_path / str(seed), "everything", QUESTIONS, options)
        expected = Counter(tuple(map(plain, row)) for row in joined.sql(oracle(known_at_the_time=known_at_the_time)))
        assert got == expected, f"seed {seed}"
        assert got == stocks(joined, "everything", QUESTIONS, options, columns), f"seed {seed}"
        found = [sum(row[n] is not None for row in got) for n in range(4, len(columns))]
        assert min(found) > 10, f"seed {seed} leaves a feature without values: {found}"


@pytest.mark.parametrize(("service", "query"), [("some", QUESTIONS), ("sent", SENT)])
@pytest.mark.parametrize("known_at_the_time", [True, False])
def test_projections_keep_their_names_and_keys(
    joined, tmp_path: Path, service: str, query: str, known_at_the_time: bool
) -> None:
    options = JoinOptions(full_feature_names=True, known_at_the_time=known_at_the_time)
    put_rows(joined, rows_at_random(11))
    got, columns = ours(joined, tmp_path / "a", service, query, options)
    assert got == stocks(joined, service, query, options, columns)
    assert {"some": "others__kind", "sent": "to__clicks"}[service] in columns


def test_rows_that_cannot_be_told_apart_are_refused_where_stock_multiplies(joined, tmp_path: Path) -> None:
    tables = rows_at_random(3)
    tables["moods"] += [(*row[:2], 5.0) for row in tables["moods"]]
    put_rows(joined, tables)
    options = JoinOptions()
    with pytest.raises(NotJoined, match="several rows of one entity and one time") as raised:
        ours(joined, tmp_path / "a", "everything", QUESTIONS, options)
    columns = pq.read_schema(tmp_path / "a").names
    multiplied = stocks(joined, "everything", QUESTIONS, options, columns)
    assert multiplied.total() > len(tables["questions"])
    assert f"{multiplied.total()}:" in str(raised.value)


def test_keys_that_read_alike_one_after_another_are_told_apart(joined, tmp_path: Path) -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    put_rows(joined, {**{table: [] for table in rows_at_random(1)}, "stays": [(1, "2a", at, at, 5, True)]})
    query = "select 1::bigint as user_id, '2a' as place, '2026-03-02Z'::timestamptz as event_timestamp"
    query += " union all select 12, 'a', '2026-03-02Z'"
    got, _ = ours(joined, tmp_path / "a", "some", query, JoinOptions())
    assert {row[:2]: row[3] for row in got} == {(1, "2a"): True, (12, "a"): None}


def test_moments_without_end_and_columns_of_any_name_are_asked_for(joined, tmp_path: Path) -> None:
    put_rows(joined, rows_at_random(2))
    names = 'select q.*, 1 as rank, 2 as "event", 3 as at, 4 as c0, 5 as is_asked, 6 as entity_timestamp'
    query = f"{names} from ({QUESTIONS}) q"
    query += " union all select 1, 'a', 'infinity', 7, 1, 2, 3, 4, 5, 6"
    done = write_training_set(joined.feast, joined.warehouse, "some", query, tmp_path / "a")
    assert done.rows == 146
    assert done.columns[4:10] == ("rank", "event", "at", "c0", "is_asked", "entity_timestamp")


def test_unqualified_tables_are_found_where_feast_looks(joined, tmp_path: Path) -> None:
    put_rows(joined, rows_at_random(2))
    expected, _ = ours(joined, tmp_path / "a", "some", QUESTIONS, JoinOptions())
    joined.edit("views.py", "gold.clicks", "clicks")
    register(joined.feast, joined.warehouse, allow_deletions=False, run_id="test")
    got, _ = ours(joined, tmp_path / "b", "some", QUESTIONS.replace("gold.", ""), JoinOptions())
    assert got == expected
