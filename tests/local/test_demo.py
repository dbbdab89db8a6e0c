"""The whole story on one machine: from a batch in a folder to features over HTTP, with every number asserted."""

from __future__ import annotations

import json
import math
import re
import time
from typing import TYPE_CHECKING, Any

import obstore
import pytest
import redis

if TYPE_CHECKING:
    from tests.local.conftest import Demo

from terrane.object_store import DATA_LAKE, LANDING_ZONE
from terrane.publishing import list_commits

pytestmark = [pytest.mark.integration, pytest.mark.slow]

COUNTRIES, PLACES = 177, 243
RUNS_OF_BATCH = """
    query ($batch: String!) { runsOrError(filter: {tags: [{key: "dagster/run_key", value: $batch}]}) {
      ... on Runs { results { runId } } } }
"""
FEATURES = """
    select user_id, entries_total, entries_last_7d, entries_last_30d, minutes_total, avg_words, avg_mood,
           favourite_game_type, last_place, last_country, countries_visited, is_active
    from gold.user_journal_features order by user_id
"""


def test_the_demo_ends_well_with_a_table_and_the_address_of_the_ui(demo: Demo) -> None:
    assert demo.code == 0, demo.output
    assert "Online features" in demo.output
    assert f"The UI: {demo.settings.url('webserver')}" in demo.output
    # A stage whose rows came in two parts is done twice, and told twice.
    done = {line.partition(" done ")[0] for line in demo.output.splitlines() if line.startswith("✔")}
    assert len(done) == 9, demo.output


def test_every_row_of_the_source_is_in_the_warehouse_once(demo: Demo, generator: Any) -> None:
    days = demo.complete_days
    users, entries = generator.users_before(days), generator.entries_before(days)
    counts = demo.sql(
        "warehouse",
        "warehouse",
        f"select (select count(*) from raw.users where id <= {users}), (select count(*) from raw.journal_entries), "
        "(select count(distinct id) from raw.journal_entries), (select count(*) from raw.game_types)",
    )
    assert counts == [(users, entries, entries, len(generator.GAME_TYPES))]
    # Of today there are those who came so far.
    all_users = demo.sql("warehouse", "warehouse", "select count(*), max(id) from raw.users")
    assert users <= all_users[0][0] == all_users[0][1] <= generator.users_before(days + 2)


def test_every_place_of_the_batch_is_in_the_warehouse(demo: Demo) -> None:
    rows = demo.sql("warehouse", "warehouse", "select count(*), count(distinct place_id) from raw.places")
    published = list_commits(demo.bucket(DATA_LAKE), "places")[0]
    assert rows[0][0] == rows[0][1]
    assert 0.9 * PLACES < rows[0][0] <= PLACES
    assert {o.name for o in published.objects} >= {"places.parquet", "countries.parquet", "item.json", "preview.png"}


def test_gold_counts_every_entry(demo: Demo, generator: Any) -> None:
    total = demo.sql("warehouse", "warehouse", "select sum(entries_total)::bigint from gold.user_journal_features")
    assert total == [(generator.entries_before(demo.complete_days),)]


def test_what_is_served_is_what_gold_holds(demo: Demo) -> None:
    rows = demo.sql("warehouse", "warehouse", FEATURES)
    names = re.findall(r"[a-z_0-9]+", FEATURES.split("from")[0])[1:]
    users = [row[0] for row in rows]
    served = demo.online(users)
    assert len(users) > 4000
    for column, name in enumerate(names):
        expected = [row[column] for row in rows]
        assert [_same(a, b) for a, b in zip(served[name], expected, strict=True)].count(False) == 0, name


def test_a_user_nobody_knows_has_no_features(demo: Demo) -> None:
    assert demo.online([987_654_321])["entries_total"] == [None]


def test_no_schema_of_a_run_is_left(demo: Demo) -> None:
    left = demo.sql("spatial", "spatial_compute", r"select nspname from pg_namespace where nspname like 'run\_%'")
    assert left == []


def test_the_lake_holds_the_batch_once_and_an_export_of_gold(demo: Demo) -> None:
    lake = demo.bucket(DATA_LAKE)
    assert len(list_commits(lake, "places")) == 1
    exports = list_commits(lake, "exports/user_journal_features")
    assert exports
    objects = {str(e["path"]) for page in obstore.list(lake) for e in page}
    assert {o.key for commit in [*list_commits(lake, "places"), *exports] for o in commit.objects} <= objects


def test_the_ui_says_where_the_map_lies_and_which_batch_is_published(demo: Demo) -> None:
    query = """query { assetNodeOrError(assetKey: {path: ["data_lake", "places"]}) { ... on AssetNode {
        partitionKeys assetMaterializations(limit: 1) {
            partition metadataEntries { label ... on PathMetadataEntry { path } } } } } }"""
    node = demo.dagster.query(query)["assetNodeOrError"]
    (event,) = node["assetMaterializations"]
    (place,) = [m["path"] for m in event["metadataEntries"] if m["label"] == "preview"]
    bucket, key = place.split("/", 1)
    picture = bytes(obstore.get(demo.bucket(bucket), key).bytes())
    assert picture.startswith(b"\x89PNG")
    assert node["partitionKeys"] == [event["partition"]]


def test_loading_transforming_and_exporting_are_steps_of_one_run(demo: Demo) -> None:
    run = demo.dagster.assets(["data_lake/places"])["data_lake/places"].run_id
    assert run is not None
    steps = [step["stepKey"].rsplit(".", 1)[-1] for step in demo.dagster.steps(run)]
    assert [name for name in steps if name in {"load", "transform", "export"}] == ["load", "transform", "export"]


def test_a_second_run_finds_its_work_done(demo: Demo) -> None:
    before = demo.dagster.assets(["data_lake/places"])["data_lake/places"]
    began = time.monotonic()
    again = demo.terrane("demo", "--once")
    assert again.returncode == 0, again.stdout + again.stderr
    assert time.monotonic() - began < 20
    assert "was delivered before" in again.stdout
    assert demo.dagster.assets(["data_lake/places"])["data_lake/places"].materialized_at == before.materialized_at


def test_a_bad_manifest_is_rejected_beside_it_and_starts_no_run(demo: Demo) -> None:
    landing_zone = demo.bucket(LANDING_ZONE)
    manifest = {"version": 1, "batch_id": "bad-1", "dataset": "places", "files": [], "driver": "CSV:/etc/passwd"}
    obstore.put(landing_zone, "manifests/bad-1.json", json.dumps(manifest).encode())
    marker = json.loads(_wait_for(landing_zone, "manifests/bad-1.rejected.json"))
    assert "driver" in json.dumps(marker["reasons"])
    assert demo.dagster.query(RUNS_OF_BATCH, batch="bad-1")["runsOrError"]["results"] == []


def test_the_doctor_finds_nothing_missing_and_every_process_running(demo: Demo) -> None:
    seen = demo.terrane("doctor")
    assert seen.returncode == 0, seen.stdout
    assert seen.stdout.count("running") == len(demo.settings.ports) + 1


@pytest.mark.parametrize(
    ("location", "asset"),
    [("spatial", "data_lake/places"), ("analytics", "raw/game_types"), ("features", "feast/registry")],
)
def test_one_asset_of_each_location_is_launched_from_the_command_line(demo: Demo, location: str, asset: str) -> None:
    delivered = re.search(r"^Batch (\S+) delivered", demo.output, re.MULTILINE)
    assert delivered
    partition = ["--partition", delivered[1]] if location == "spatial" else []
    done = demo.terrane("exec", location, "dg", "launch", "--assets", asset, *partition)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_a_person_who_is_forgotten_is_in_no_store(demo: Demo) -> None:
    """The last of these tests: the others count everybody."""
    person = demo.sql("warehouse", "warehouse", "select max(user_id) from raw.journal_entries")[0][0]
    assert demo.online([person])["entries_total"][0] > 0
    assert _online_keys(demo, person)
    done = demo.terrane("forget", "users", str(person))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "backups and snapshots of databases" in done.stdout
    columns = demo.sql(
        "warehouse",
        "warehouse",
        "select table_schema, table_name, column_name from information_schema.columns join information_schema.tables "
        "using (table_schema, table_name) where column_name = 'user_id' or (table_schema, table_name, column_name) = "
        "('raw', 'users', 'id')",
    )
    assert {("gold", "user_journal_features"), ("raw", "users")} <= {column[:2] for column in columns}
    for schema, table, column in columns:
        query = f"select count(*) from {schema}.{table} where {column} = {person}"
        assert demo.sql("warehouse", "warehouse", query) == [(0,)], table
    assert demo.online([person])["entries_total"] == [None]
    assert not _online_keys(demo, person)


def _online_keys(demo: Demo, person: int) -> list[bytes]:
    """Keys of Redis that hold the person's id: Feast writes it as eight bytes, the lowest first."""
    client = redis.Redis(
        port=demo.settings.ports["redis"], password=demo.settings.passwords.get("redis"), decode_responses=False
    )
    with client:
        return [key for key in client.scan_iter(count=5000) if person.to_bytes(8, "little") in key]


def _same(served: Any, expected: Any) -> bool:
    if isinstance(expected, float) and isinstance(served, float):
        return math.isclose(served, expected, rel_tol=1e-12)
    return served == expected


def _wait_for(bucket: Any, key: str, seconds: float = 60) -> bytes:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return bytes(obstore.get(bucket, key).bytes())
        except FileNotFoundError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
