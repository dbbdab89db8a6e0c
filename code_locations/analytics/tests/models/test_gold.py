"""Gold, computed by dbt through Dagster from what the API and the lake gave, against the same computed here."""

import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from faulty_api import PLACES
from location import COUNTRIES, publish_places

from source_api import generator
from terrane.object_store import DATA_LAKE
from terrane.publishing import download, list_commits

pytestmark = [pytest.mark.integration, pytest.mark.slow]

DAYS = 10
START = datetime(2026, 1, 1, tzinfo=UTC)
RANGE = ("2026-01-01", "2026-01-10")
GOLD = "gold/user_journal_features"
EXPORT = "exports/user_journal_features"


def ingest(location, days=RANGE):
    assert location.run("raw/users", "raw/journal_entries", days=days).success
    assert location.run("raw/game_types", "raw/places").success


def rows(location, statement):
    with location.resources["warehouse"].connect() as connection:
        return connection.execute(statement).fetchall()


def expected_features():
    """user_id to the features that take some computing, from the generator's rows."""
    entries = defaultdict(list)
    for day in range(DAYS):
        for entry in generator.journal_entries(day, PLACES):
            entries[entry.user_id].append((START + timedelta(days=day, milliseconds=entry.at_ms), entry))
    countries = {name.lower(): COUNTRIES[n % 3][1] for n, name in enumerate(PLACES)}
    names = {name.lower(): name for name in PLACES}
    week = START + timedelta(days=DAYS - 7)
    expected = {}
    for user in range(1, generator.users_before(DAYS) + 1):
        own = entries[user]
        placed = [e.place.strip().lower() for _, e in own if e.place]
        moods = [e.mood for _, e in own if e.mood]
        games = Counter(e.game_type for _, e in own)
        last = {e.game_type: at for at, e in own}
        expected[user] = (
            len(own),
            sum(at >= week for at, _ in own),
            round(sum(e.minutes for _, e in own), 1),
            round(sum(moods) / len(moods), 9) if moods else None,
            max(games, key=lambda game: (games[game], last[game])) if games else None,
            names[placed[-1]] if placed else None,
            countries[placed[-1]] if placed else None,
            len({countries[p] for p in placed} - {None}),
            any(at >= week for at, _ in own),
        )
    return expected


def users_of_today(location):
    """Users after the days that were ingested who came or changed today: ingestion reads those with any days."""
    found = {user for (user,) in rows(location, "select id from raw.users") if user > generator.users_before(DAYS)}
    today = (datetime.now(UTC) - START).days
    assert max(found) <= generator.users_before(today + 1)
    return found


def test_gold_and_its_export_are_what_the_rows_say_however_often_they_are_built(location, places):
    ingest(location)
    built = location.run(*location.models(), EXPORT)
    assert built.success, location.failures(built)

    found = rows(
        location,
        "select user_id, entries_total, entries_last_7d, minutes_total, round(avg_mood::numeric, 9)::float8, "
        "favourite_game_type, last_place, last_country, countries_visited, is_active "
        "from gold.user_journal_features order by user_id",
    )
    newcomers = users_of_today(location)
    nothing = dict.fromkeys(newcomers, (0, 0, 0.0, None, None, None, None, 0, False))
    assert {user: tuple(features) for user, *features in found} == expected_features() | nothing
    assert rows(location, "select distinct event_timestamp from gold.user_journal_features") == [
        (START + timedelta(days=DAYS),)
    ]
    assert rows(location, "select sum(entries)::bigint from gold.journal_activity_daily") == [
        (generator.entries_before(DAYS),)
    ]

    made = {e.asset_key.to_user_string(): e.materialization.metadata for e in built.get_asset_materialization_events()}
    counts = {key: told["dagster/row_count"].value for key, told in made.items() if "dagster/row_count" in told}
    assert counts[GOLD] == counts[EXPORT] == generator.users_before(DAYS) + len(newcomers)
    # Rows of a view would be computed for nobody.
    assert "staging/users" in made.keys() - counts.keys()
    checks = built.get_asset_check_evaluations()
    assert all(check.passed for check in checks)
    assert "gold_counts_every_entry_once" in {check.check_name for check in checks}

    (commit,) = list_commits(location.resources["object_store"].bucket(DATA_LAKE), EXPORT)
    assert commit.batch_id == built.run_id
    file = download(
        location.resources["object_store"].bucket(DATA_LAKE),
        commit.object("user_journal_features.parquet"),
        Path(location.resources["object_store"].folder() / "read-back.parquet"),
    )
    gold = rows(location, "select * from gold.user_journal_features order by user_id")
    assert [tuple(row.values()) for row in pq.read_table(file).to_pylist()] == gold

    assert location.run(*location.models()).success
    assert rows(location, "select * from gold.user_journal_features order by user_id") == gold


def test_an_environment_reads_and_writes_schemas_of_its_own(location, places, monkeypatch):
    monkeypatch.setenv("TERRANE_ENVIRONMENT", "staging")
    publish_places(location.resources["object_store"], "places-of-staging")
    ingest(location, ("2026-01-01", "2026-01-01"))
    built = location.run(*location.models(), EXPORT)
    assert built.success, location.failures(built)

    assert rows(location, "select distinct nspname from pg_namespace join pg_class on relnamespace = pg_namespace.oid "
        "where nspname !~ '^(pg_|information_schema)' order by 1") == [
        ("gold__staging",), ("intermediate__staging",), ("raw__staging",), ("staging__staging",)
    ]  # fmt: skip
    made = {e.asset_key.to_user_string(): e.materialization.metadata for e in built.get_asset_materialization_events()}
    assert (
        made[GOLD]["dagster/row_count"].value
        == rows(location, "select count(*) from gold__staging.user_journal_features")[0][0]
    )
    folder = location.resources["object_store"].folder()
    assert list((folder / "data-lake--staging" / EXPORT).rglob("*.parquet"))
    assert not (folder / "data-lake" / "exports").exists()


@pytest.fixture
def own_project(location, tmp_path):
    """A function that changes a file of a copy of the dbt project, which the location then runs instead."""
    copy = tmp_path / "dbt"
    shutil.copytree(Path(__file__).parents[4] / "dbt", copy)

    def change(file, old, new):
        path = copy / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        location.use_dbt_project(copy)

    return change


def test_a_model_that_fails_says_so_leaves_gold_as_it_was_and_the_next_run_works(location, places, own_project):
    ingest(location, ("2026-01-01", "2026-01-02"))
    assert location.run(*location.models()).success
    before = rows(location, "select count(*), max(event_timestamp) from gold.user_journal_features")
    assert location.run("raw/users", "raw/journal_entries", days=("2026-01-03", "2026-01-03")).success

    own_project("models/gold/user_journal_features.sql", "users.user_id,", "users.user_id / 0 as user_id,")
    failed = location.run(*location.models(), EXPORT)
    assert not failed.success
    (message,) = location.failures(failed)
    assert "dbt build failed in model user_journal_features: Database Error" in message
    assert "division by zero" in message
    assert "Mend the model" in message
    made = {e.asset_key.to_user_string() for e in failed.get_asset_materialization_events()}
    assert made.isdisjoint({GOLD, EXPORT})
    assert rows(location, "select count(*), max(event_timestamp) from gold.user_journal_features") == before
    assert list_commits(location.resources["object_store"].bucket(DATA_LAKE), EXPORT) == []

    own_project("models/gold/user_journal_features.sql", "users.user_id / 0 as user_id,", "users.user_id,")
    assert location.run(*location.models(), EXPORT).success
    assert rows(location, "select max(event_timestamp) from gold.user_journal_features") == [
        (START + timedelta(days=3),)
    ]


def test_a_model_that_breaks_its_contract_is_not_built(location, places, own_project):
    ingest(location, ("2026-01-01", "2026-01-01"))
    own_project(
        "models/gold/user_journal_features.sql",
        "as entries_last_7d,\n    coalesce(totals.entries_last_30d, 0)",
        "as entries_last_7d,\n    coalesce(totals.entries_last_30d, 0)::text",
    )
    failed = location.run(*location.models())
    assert not failed.success
    (message,) = location.failures(failed)
    assert "contract" in message
    assert "entries_last_30d" in message
    assert rows(location, "select to_regclass('gold.user_journal_features')") == [(None,)]


def test_rows_that_fail_a_test_are_reported_as_a_failed_check_and_stop_what_follows(location, places):
    ingest(location, ("2026-01-01", "2026-01-01"))
    rows(location, "update raw.journal_entries set mood = 9 where id = 1 returning id")
    failed = location.run(*location.models(), EXPORT)
    assert not failed.success
    bad = [check.check_name for check in failed.get_asset_check_evaluations() if not check.passed]
    assert bad == ["accepted_values_journal_entries_mood__False__1__2__3__4__5"]
    (message,) = location.failures(failed)
    assert "failed in test accepted_values_journal_entries_mood__False__1__2__3__4__5: Got 1 result" in message
    assert "Left as they were, since they come after it: model located_entries" in message
    assert rows(location, "select to_regclass('gold.user_journal_features')") == [(None,)]


def test_a_warehouse_that_is_down_fails_the_build_and_says_so(location, places, postgres_server):
    ingest(location, ("2026-01-01", "2026-01-01"))
    models = location.models()
    postgres_server.stop()
    try:
        failed = location.run(*models)
    finally:
        postgres_server.start()
    assert not failed.success
    assert "dbt build failed" in location.failures(failed)[0]
    assert "onnection" in location.failures(failed)[0]
    assert location.run(*models).success


def test_the_project_builds_with_dbts_own_command_line(location, places, tmp_path):
    ingest(location, ("2026-01-01", "2026-01-01"))
    publish_places(location.resources["object_store"], "unused")
    dbt = [sys.executable, "-m", "dbt.cli.main", "build", "--target-path", str(tmp_path), "--log-path", str(tmp_path)]
    done = subprocess.run(dbt, cwd=Path(__file__).parents[4] / "dbt", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "ERROR=0" in done.stdout
