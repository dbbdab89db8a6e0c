"""dbt projects as people have them: seeds, snapshots, versions, foreign sources, parts, packages, a dbt that dies."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest

from terrane_dbt.dbt_project import graph
from terrane_dbt.dbt_project.manifest import ensure_manifest
from terrane_dev.automation import World

pytestmark = [pytest.mark.integration, pytest.mark.slow]

DBT = Path(__file__).parents[4] / "dbt"
DAYS = ("2026-01-01", "2026-01-02")


@pytest.fixture
def project(location, tmp_path):
    """Writes files into a copy of the dbt project, which the location then runs."""
    copy = tmp_path / "dbt"
    shutil.copytree(DBT, copy, ignore=shutil.ignore_patterns("target", "logs"))

    def write(files):
        for name, text in files.items():
            file = copy / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        location.use_dbt_project(copy)
        return copy

    return write


@pytest.fixture
def raw(location, places):
    """Every raw table."""
    assert location.run("raw/users", "raw/journal_entries", days=DAYS).success
    assert location.run("raw/game_types", "raw/places").success


@pytest.fixture
def world():
    """A function: the world in which the location has every raw table and what was asked for in an hour is made."""
    with dg.DagsterInstance.ephemeral() as instance:

        def settled(location):
            world = World(location.definitions, instance)
            for key in world.graph.materializable_asset_keys:
                if key.path[0] == "raw":
                    partitions = world.graph.get(key).partitions_def
                    world.made(key.to_user_string(), partitions=partitions.get_partition_keys() if partitions else ())
                    world.check(key.to_user_string(), passed=True)
            found = set().union(*(world.tick(60, launch=False) for _ in range(12)))
            for key in map(dg.AssetKey.to_user_string, world.graph.toposorted_asset_keys):
                if key in found:
                    world.wait(seconds=1)
                    world.made(key)
                    world.check(key, passed=True)
            world.tick(60, launch=False)
            return found, world

        yield settled


def made_by(result):
    """Rows of each table that was made; of a view they are not counted."""
    made = {e.asset_key.to_user_string(): e.materialization for e in result.get_asset_materialization_events()}
    return {
        key: m.metadata["dagster/row_count"].value if "dagster/row_count" in m.metadata else None
        for key, m in made.items()
    }


SNAPSHOT = """{% snapshot users_history %}
{{ config(schema='history', unique_key='user_id', strategy='timestamp', updated_at='updated_at') }}
select * from {{ ref('users') }}
{% endsnapshot %}
"""
HISTORY = {
    "seeds/plan_prices.csv": "plan,price\nfree,0\nplus,5\nfamily,9\n",
    "snapshots/users_history.sql": SNAPSHOT,
    "models/intermediate/plan_changes.sql": "select user_id, count(*) as n from {{ ref('users_history') }} group by 1",
    "models/staging/user_prices.sql": "select u.user_id, s.price from {{ ref('users') }} u "
    "join {{ ref('plan_prices') }} s on s.plan = u.plan",
}


def test_seeds_and_snapshots_are_asked_for_and_built(location, raw, project, world, query):
    project(HISTORY)
    found, made = world(location)
    four = {"staging/plan_prices", "history/users_history", "intermediate/plan_changes", "staging/user_prices"}
    assert four <= found
    assert made.tick(60, launch=False).isdisjoint(four)
    made.made("staging/users")
    made.check("staging/users", passed=True)
    assert "history/users_history" in made.tick(60, launch=False)
    built = location.run(*location.models())
    assert built.success, location.failures(built)
    rows = made_by(built)
    assert rows["staging/plan_prices"] == 3
    ((users,),) = query("select count(*) from staging.users")
    assert rows["history/users_history"] == rows["intermediate/plan_changes"] == users > 0
    assert rows["staging/user_prices"] is rows["staging/users"] is None


FOREIGN = {
    "models/staging/legacy.yml": "version: 2\nsources:\n  - name: legacy\n    schema: legacy\n    tables:\n"
    "      - name: countries\n      - name: nobody_reads_it\n",
    "models/staging/countries.sql": "select * from {{ source('legacy', 'countries') }}",
}


def test_a_source_that_nobody_makes_stops_nothing(location, project, world):
    before = set(location.models())
    project(FOREIGN)
    found, _ = world(location)
    assert before | {"staging/countries"} <= found


VERSIONS = {
    "models/intermediate/plans.yml": "version: 2\nmodels:\n  - name: plans\n    latest_version: 2\n    versions:\n"
    "      - v: 1\n      - v: 2\n",
    "models/intermediate/plans_v1.sql": "select 1 as n",
    "models/intermediate/plans_v2.sql": "select 2 as n union all select 3",
}


def test_each_version_of_a_model_is_an_asset(location, project):
    project(VERSIONS)
    built = location.run("intermediate/plans_v1", "intermediate/plans_v2")
    assert built.success, location.failures(built)
    assert made_by(built) == {"intermediate/plans_v1": 1, "intermediate/plans_v2": 2}


def test_a_part_of_a_project_is_built_without_tests_on_what_is_not_there(location, raw, project):
    tests = (DBT / "models/staging/staging.yml").read_text()
    project({"models/staging/staging.yml": tests.replace("config: {severity: warn}", "config: {severity: error}")})
    built = location.run("staging/users")
    assert built.success, location.failures(built)
    names = {check.check_name for check in built.get_asset_check_evaluations()}
    assert {"unique_users_user_id", "not_null_users_user_id"} <= names
    assert location.run("staging/game_types", "staging/journal_entries").success
    with location.resources["warehouse"].connect() as connection:
        connection.execute("update raw.game_types set slug = 'changed' where id = 1")
    failed = location.run("staging/game_types")
    bad = {check.check_name for check in failed.get_asset_check_evaluations() if not check.passed}
    assert bad == set()
    assert not failed.success
    assert "test relationships_journal_entries_game_type" in location.failures(failed)[-1]


BY_ENVIRONMENT = (
    "{{ config(schema=env_var('TEAM_SCHEMA', 'team_a')) }}\n"
    "select * from generate_series("
    "1, case when '{{ env_var('TEAM_SCHEMA', 'team_a') }}' = 'team_a' then 3 else 7 end) n"
)


def test_variables_and_packages_make_the_manifest_anew(location, project, monkeypatch, tmp_path):
    monkeypatch.setenv("TEAM_SCHEMA", "team_a")
    folder = project({"models/intermediate/by_env.sql": BY_ENVIRONMENT})
    assert made_by(location.run("team_a/by_env")) == {"team_a/by_env": 3}
    monkeypatch.setenv("TEAM_SCHEMA", "team_b")
    location.use_dbt_project(folder)
    assert made_by(location.run("team_b/by_env")) == {"team_b/by_env": 7}

    shared = tmp_path / "shared_models"
    (shared / "models").mkdir(parents=True)
    (shared / "dbt_project.yml").write_text("name: shared_models\nversion: '1.0'\nconfig-version: 2\n")
    (shared / "models/one.sql").write_text("select 1 as a")
    (folder / "packages.yml").write_text("packages:\n  - local: ../shared_models\n")
    dbt = Path(sys.executable).parent / "dbt"
    subprocess.run([dbt, "deps"], cwd=folder, check=True, capture_output=True)
    location.use_dbt_project(folder)
    assert "staging/one" in location.models()
    (shared / "models/two.sql").write_text("select 2 as a")
    location.use_dbt_project(folder)
    assert {"staging/one", "staging/two"} <= set(location.models())


def test_a_dbt_that_was_killed_says_so_and_is_tried_again(location, project):
    project(
        {
            "models/staging/quick.sql": "select 1 as n",
            "models/intermediate/slow.sql": "select pg_sleep(60) is null as n from {{ ref('quick') }}",
        }
    )

    def kill():
        """Kills each dbt once it is in the slow model, whose session would hold the tables until it has slept."""
        while not stopped.wait(0.2):
            if sleeping(location):
                for process in _children("dbt"):
                    os.kill(process, signal.SIGKILL)

    stopped = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill)
        failed = location.run("staging/quick", "intermediate/slow")
        stopped.set()
        killing.result()
    messages = location.failures(failed)
    assert "dbt was killed by signal 9 (SIGKILL) after it had made staging/quick" in messages[0]
    assert len(messages) == 3
    assert not sleeping(location)


def sleeping(location):
    """Sessions that are in the slow model."""
    query = "select pid from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"
    with location.resources["warehouse"].connect() as connection:
        return connection.execute(query).fetchall()


def _children(program):
    """Processes of that program that this one started."""
    # Two w: without them, words after the 80th character are left out where COLUMNS is set.
    listed = ["ps", "-ww", "-e", "-o", "pid=,ppid=,args="]
    told = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
    lines = [[*line.split(None, 2), ""] for line in told.splitlines()]
    return [int(pid) for pid, parent, args, *_ in lines if int(parent) == os.getpid() and f"/{program} " in args]


SOURCES = """version: 2
sources:
  - name: raw
    schema: raw
    tables:
      - name: users
        columns:
          - name: plan
            data_tests:
              - accepted_values:
                  arguments: {values: [gold]}
      - name: journal_entries
      - name: game_types
      - name: places
"""


def test_a_test_of_a_source_stops_what_reads_it_in_every_run(location, raw, project):
    project({"models/staging/sources.yml": SOURCES})
    for keys in (
        location.models(),
        [key for key in location.models() if key not in ("staging/game_types", "staging/places")],
    ):
        failed = location.run(*keys)
        assert not failed.success
        assert "source_accepted_values_raw_users_plan__gold" in location.failures(failed)[-1]
        with location.resources["warehouse"].connect() as connection:
            gold = connection.execute("select to_regclass('gold.user_journal_features')").fetchone()
        assert gold == (None,)


PLACES = ("Zürich", "São Paulo", "Ζάκυνθος")
SPELT = ("Zürich", "ZÜRICH", "Zu\u0308rich", "Zürich\u00a0", "\tZürich", "SÃO PAULO", "ΖΆΚΥΝΘΟΣ")


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_places_are_found_however_they_are_spelt_in_any_locale(warehouse, locale):
    key = (DBT / "macros/place_key.sql").read_text().split("-%}")[-1].split("{%-")[0].strip()
    with warehouse.connect() as connection:
        query = f"select {key.replace('{{ column }}', 'name')} from unnest(%s::text[]) as name"
        query = query.replace("name", f'name collate "{locale}"', 1) if locale == "C" else query
        keys = [[row[0] for row in connection.execute(query, [list(names)]).fetchall()] for names in (PLACES, SPELT)]
    assert keys[1] == [keys[0][0]] * 5 + keys[0][1:]


def test_the_sources_of_a_project_are_those_that_something_reads():
    found = graph.read(ensure_manifest(DBT)).sources
    assert {key.to_user_string() for key in found} == {
        "raw/users",
        "raw/journal_entries",
        "raw/game_types",
        "raw/places",
    }


# As people publish them: a profile of the author's, a schema for seeds, and sources that are these seeds.
ELSEWHERE = {
    "dbt_project.yml": """
name: shop
version: "1.0"
profile: default
seeds: {shop: {+schema: landed, +enabled: "{{ var('with_data', false) }}"}}
models: {shop: {+materialized: "{{ var('kind', 'table') }}"}}
""",
    "seeds/things.csv": "id,name\n1,one\n2,two\n",
    "macros/generate_schema_name.sql": """{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name if node.resource_type == 'seed' else target.schema }}
{%- endmacro %}""",
    "models/sources.yml": """
sources:
  - name: landed
    tables: [{name: things, columns: [{name: id, data_tests: [unique]}]}]
  - name: once_more
    schema: landed
    tables: [{name: the_same, identifier: things}]
""",
    "models/all_things.sql": "select * from {{ source('landed', 'things') }}",
    "models/things_again.sql": "select * from {{ source('once_more', 'the_same') }} where id > 1",
}


@pytest.fixture
def from_elsewhere(location, tmp_path, monkeypatch):
    """Writes a project that nobody has fitted to the platform, and loads it with some attributes."""
    monkeypatch.setenv("DBT_PROFILES_DIR", str(DBT))
    folder = tmp_path / "elsewhere"
    for name, text in ELSEWHERE.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def load(**attributes):
        location.use_dbt_project(folder, **attributes)
        return location

    return load


def test_a_project_from_elsewhere_is_built_as_it_is(from_elsewhere):
    location = from_elsewhere(vars={"with_data": True})
    result = location.run("landed/things", "shop/all_things", "shop/things_again")
    assert result.success, location.failures(result)
    # The seed before what reads it as a source, though dbt does not know that they are one.
    assert made_by(result) == {"landed/things": 2, "shop/all_things": 2, "shop/things_again": 1}
    graph_of = location.definitions.resolve_asset_graph()
    for model in ("all_things", "things_again"):
        parents = graph_of.get(dg.AssetKey(["shop", model])).parent_keys
        assert parents == {dg.AssetKey(["landed", "things"])}
    checks = [e for e in result.get_asset_check_evaluations() if e.asset_key == dg.AssetKey(["landed", "things"])]
    assert [c.passed for c in checks] == [True]


def test_what_a_project_names_twice_is_one_source(from_elsewhere, warehouse):
    with warehouse.connect(autocommit=True) as connection:
        connection.execute("create schema if not exists landed")
        connection.execute("create table landed.things as select n as id, 'x' as name from generate_series(1, 3) n")
    location = from_elsewhere()
    result = location.run("shop/all_things", "shop/things_again")
    assert result.success, location.failures(result)
    assert made_by(result) == {"shop/all_things": 3, "shop/things_again": 2}


def test_a_schema_for_the_whole_project_is_one_attribute(from_elsewhere):
    location = from_elsewhere(vars={"with_data": True}, target_schema="bought")
    result = location.run("landed/things", "bought/all_things")
    assert result.success, location.failures(result)
    assert made_by(result) == {"landed/things": 2, "bought/all_things": 2}


def test_in_an_environment_rows_are_counted_where_they_are(from_elsewhere, monkeypatch, query):
    monkeypatch.setenv("TERRANE_ENVIRONMENT", "staging")
    location = from_elsewhere(vars={"with_data": True, "kind": "incremental"})
    result = location.run("landed/things", "shop/all_things")
    assert result.success, location.failures(result)
    assert made_by(result) == {"landed/things": 2, "shop/all_things": 2}
    assert query("select count(*) from shop__staging.all_things") == [(2,)]
