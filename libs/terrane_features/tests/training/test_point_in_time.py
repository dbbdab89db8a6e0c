"""The point-in-time join, against a join by brute force over histories with corrections that came late."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from histories import START, Histories, generate, put

from terrane_features.materialize.run import materialize
from terrane_features.registry.apply import register
from terrane_features.repository.model import RepositoryError
from terrane_features.training.entities import clean, examine
from terrane_features.training.failures import EntitiesRefused, NoSuchService, NotJoined
from terrane_features.training.options import JoinOptions
from terrane_features.training.point_in_time import write_training_set

pytestmark = pytest.mark.integration
LABELS = "select player_id, place_id, event_timestamp, label from gold.labels"
Row = tuple[Any, ...]


def written(players, target: Path, service: str = "both", entities: str = LABELS, **options: Any) -> list[Row]:
    done = write_training_set(players.feast, players.warehouse, service, entities, target, JoinOptions(**options))
    table = pq.read_table(target)
    assert table.num_rows == done.rows
    assert tuple(table.column_names) == done.columns
    return [tuple(row.values()) for row in table.to_pylist()]


def brute_force(histories: Histories, *, known_at_the_time: bool = True) -> list[Row]:
    """Every label with every row of both histories held against it."""
    joined = []
    for player, place, moment, label in histories.labels:
        scores = [
            (at, created, score, mood)
            for who, at, created, score, mood in histories.scores
            if who == player
            and moment - timedelta(days=3) <= at <= moment
            and (created <= moment or not known_at_the_time)
        ]
        stays = [
            (since, nights)
            for who, where, since, nights in histories.stays
            if (who, where) == (player, place) and since <= moment
        ]
        _, _, score, mood = max(scores, key=lambda row: row[:2], default=(None, None, None, None))
        _, nights = max(stays, default=(None, None))
        joined.append((player, place, moment, label, score, mood, nights))
    return joined


def ordered(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: tuple((value is not None, value) for value in row))


@pytest.mark.parametrize("known_at_the_time", [True, False])
def test_it_equals_a_join_by_brute_force_row_for_row(players, tmp_path: Path, known_at_the_time: bool) -> None:
    for seed in range(8):
        histories = generate(seed, players=6, events=12, labels=150)
        put(players, histories)
        got = written(players, tmp_path / f"{seed}.parquet", known_at_the_time=known_at_the_time)
        expected = brute_force(histories, known_at_the_time=known_at_the_time)
        assert ordered(got) == ordered(expected), f"seed {seed}"
        assert sum(row[4] is not None for row in got) > 50
        assert sum(row[4] is None for row in got) > 5


def test_a_correction_that_came_after_the_moment_does_not_leak_into_it(players, tmp_path: Path) -> None:
    hour = timedelta(hours=1)
    histories = Histories(
        scores=[(1, START, START, 10, None), (1, START, START + 5 * hour, 99, None)],
        labels=[(1, 0, START + 4 * hour, 0), (1, 0, START + 5 * hour, 1)],
    )
    put(players, histories)
    assert [row[4] for row in written(players, tmp_path / "a")] == [10, 99]
    assert [row[4] for row in written(players, tmp_path / "b", known_at_the_time=False)] == [99, 99]


def test_rows_come_in_the_order_of_moment_and_keys_with_what_the_query_adds(players, tmp_path: Path) -> None:
    put(players, generate(1, players=6, events=5, labels=100))
    rows = written(players, tmp_path / "a")
    assert rows == sorted(rows, key=lambda row: (row[2], row[1], row[0])) or rows == sorted(
        rows, key=lambda row: (row[2], row[0], row[1])
    )
    assert pq.read_schema(tmp_path / "a").names == [
        "player_id",
        "place_id",
        "event_timestamp",
        "label",
        "score",
        "mood",
        "nights",
    ]


def test_full_names_tell_the_views_apart(players, tmp_path: Path) -> None:
    put(players, generate(1, players=3, events=5, labels=20))
    written(players, tmp_path / "a", full_feature_names=True)
    assert pq.read_schema(tmp_path / "a").names[4:] == ["scores__score", "scores__mood", "stays__nights"]


def test_it_makes_no_table_and_needs_no_right_to_make_one(players, tmp_path: Path) -> None:
    put(players, generate(1, players=3, events=5, labels=20))
    before = players.sql("select schemaname, tablename from pg_tables")
    players.sql(f"alter database {players.warehouse.database} set default_transaction_read_only = on")
    try:
        assert len(written(players, tmp_path / "a")) == 20
    finally:
        with players.warehouse.connect() as connection:
            connection.read_only = False
            connection.execute(
                f"alter database {players.warehouse.database} reset default_transaction_read_only".encode()
            )
    assert players.sql("select schemaname, tablename from pg_tables") == before


def test_a_query_reads_the_schemas_of_its_environment(players, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(players, generate(1, players=3, events=5, labels=20))
    assert len(written(players, tmp_path / "a", entities=LABELS.replace("gold.", "{gold}."))) == 20
    monkeypatch.setenv("TERRANE_ENVIRONMENT", "staging")
    with (
        players.warehouse.connect() as connection,
        pytest.raises(EntitiesRefused, match="the schema gold, which TERRANE"),
    ):
        examine(connection, clean(f"select extract(day from l.event_timestamp), l.* from ({LABELS}) l"), [], [])
    assert "from gold__staging.labels" in clean(LABELS.replace("gold.", "{gold}."))


@pytest.mark.parametrize("end", [";", " -- the end", " ; "])
def test_a_query_may_end_as_queries_do(players, tmp_path: Path, end: str) -> None:
    put(players, generate(1, players=3, events=5, labels=20))
    assert len(written(players, tmp_path / "a", entities=LABELS + end)) == 20


def test_a_per_cent_sign_and_braces_are_the_querys_own(players, tmp_path: Path) -> None:
    put(players, generate(1, players=3, events=5, labels=20))
    query = f"select *, '{{{{ x }}}} 5 %s {{}}' as note from ({LABELS}) l where '%' like '%'"
    assert {row[4] for row in written(players, tmp_path / "a", entities=query)} == {"{{ x }} 5 %s {}"}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "select 1 as label",
            "it lacks the join key place_id; it lacks the join key player_id; it lacks event_timestamp",
        ),
        (
            "select player_id, place_id, event_timestamp::timestamp from gold.labels",
            "is a timestamp: cast it to timestamptz",
        ),
        (f"select l.*, 1 as score from ({LABELS}) l", "its column score is a feature's name too: rename it"),
        (f"{LABELS} where false", "has no rows: there is nothing to train on"),
    ],
)
def test_a_query_that_would_join_wrongly_is_refused_before_it_is_joined(
    players, tmp_path: Path, query: str, message: str
) -> None:
    put(players, generate(1, players=3, events=5, labels=20))
    with pytest.raises(EntitiesRefused, match=message):
        written(players, tmp_path / "a", entities=query)
    assert not (tmp_path / "a").exists()


def test_keys_that_feast_confuses_are_refused_where_feast_joins(players, tmp_path: Path) -> None:
    players.edit("players.py", "alone = ", f"{ON_DEMAND}\nalone = ")
    players.edit("players.py", '[scores[["score"]], derived]', '[scores[["score"]], stays, derived]')
    register(players.feast, players.warehouse, allow_deletions=False, run_id="test")
    query = "select * from (values (1, 12, '2026-01-01'::timestamptz), (11, 2, '2026-01-01')) as"
    query += " v(player_id, place_id, event_timestamp)"
    with pytest.raises(EntitiesRefused, match="rows that Feast takes for one another when it joins stays"):
        written(players, tmp_path / "a", service="with_derived", entities=query)


def test_the_confusion_that_is_refused_is_real_in_feast(players) -> None:
    """Should this fail after an upgrade, Feast tells such rows apart, and the refusal can go."""
    put(players, Histories(stays=[(1, 12, START, 5), (11, 2, START, 7)]))
    players.sql("insert into gold.labels values (1, 12, now(), 0), (11, 2, now(), 0)")
    store = players.feast.store()
    query = "select player_id, place_id, '2026-02-01'::timestamptz as event_timestamp from gold.labels"
    job = store.get_historical_features(entity_df=query, features=["stays:nights"])
    assert job.to_df().sort_values("player_id")["nights"].tolist() != [5, 7]


def test_a_source_with_two_rows_of_one_time_is_told_instead_of_multiplying_the_set(players, tmp_path: Path) -> None:
    row = (1, START, START, 10, None)
    put(players, Histories(scores=[row, row], labels=[(1, 0, START, 0)]))
    with pytest.raises(
        NotJoined, match=r"has 1 rows, and the join with alone 2: .*rows_are_told_apart of online/scores"
    ):
        written(players, tmp_path / "a", service="alone")


def test_a_service_that_is_not_applied_or_not_declared_is_named(players, tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="no feature service 'nobody'; there are alone, both"):
        written(players, tmp_path / "a", service="nobody")
    players.edit("players.py", 'name="alone"', 'name="new"')
    with pytest.raises(NoSuchService, match="new is not in Feast's registry: materialise feast/registry first"):
        written(players, tmp_path / "a", service="new")


ON_DEMAND = """
import pandas as pd
from feast.on_demand_feature_view import on_demand_feature_view


@on_demand_feature_view(sources=[scores], schema=[Field(name="doubled", dtype=Float64)], mode="pandas")
def derived(inputs: pd.DataFrame) -> pd.DataFrame:
    return (inputs["score"] * 2.0).to_frame("doubled")


with_derived = FeatureService(name="with_derived", features=[scores[["score"]], derived])
"""


def test_on_demand_features_are_computed_by_feast_from_what_was_known_then(players, tmp_path: Path) -> None:
    players.edit("players.py", "alone = ", f"{ON_DEMAND}\nalone = ")
    register(players.feast, players.warehouse, allow_deletions=False, run_id="test")
    histories = generate(4, players=5, events=10, labels=80)
    put(players, histories)
    rows = written(players, tmp_path / "a", service="with_derived")
    assert pq.read_schema(tmp_path / "a").names[-2:] == ["score", "doubled"]
    assert ordered([row[:5] for row in rows]) == ordered([row[:5] for row in brute_force(histories)])
    assert [row[5] for row in rows] == [None if row[4] is None else row[4] * 2.0 for row in rows]
    assert [row[2] for row in rows] == sorted(row[2] for row in rows)


def test_what_is_served_is_what_a_set_of_now_holds(players, tmp_path: Path) -> None:
    put(players, generate(3, players=5, events=8, labels=1))
    players.sql("update gold.scores set at = at + interval '200 days', created = least(created, now())")
    players.sql("delete from gold.scores where at > now()")
    players.sql("update gold.scores set at = now() - (random() * 40 + 1) * interval '1 minute'")
    materialize(players.feast, players.warehouse, "scores")
    query = "select p as player_id, now() as event_timestamp from generate_series(0, 4) p"
    rows = written(players, tmp_path / "a", service="alone", entities=query)
    online = players.feast.store().get_online_features(
        features=["scores:score", "scores:mood"], entity_rows=[{"player_id": row[0]} for row in rows]
    )
    assert [(s, m) for s, m in zip(*(online.to_dict()[n] for n in ("score", "mood")), strict=True)] == [
        row[2:] for row in rows
    ]
