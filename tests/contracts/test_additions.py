"""A dataset, a source, a model and a view that somebody adds by YAML and SQL break no snapshot and no test elsewhere.

In a copy of the checkout, whose locations are loaded from the copy with the environments of this one.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tests.checkout import copy_checkout, git, variables

from terrane_cli.project import Project, program

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ADDED = {
    "code_locations/spatial/src/spatial/defs/rivers/defs.yaml": """\
type: terrane_spatial.components.SpatialDataset

attributes:
  dataset: rivers
  description: Rivers with their names.
  inputs: [rivers]
  steps:
    - select: {table: rivers, columns: {name: name}}
    - sql: long_rivers.sql
  outputs: [rivers]
  row_count: rivers
  freshness: {reason: rivers stay where they are}
""",
    "code_locations/spatial/src/spatial/defs/rivers/long_rivers.sql": """\
create table out_rivers as select * from rivers where st_length(geometry) > 1;
insert into _tally select 'rivers', 'dropped', 'short', count(*) from rivers where st_length(geometry) <= 1;
""",
    "code_locations/analytics/src/analytics/defs/raw/moods/defs.yaml": """\
type: analytics.components.SourceTable
attributes:
  table: moods
  route: /v1/moods
  description: The moods that an entry may have.
  columns:
    - {name: id, type: bigint, description: The mood's number.}
    - {name: name, type: text not null, description: The name for people.}
""",
    "dbt/models/gold/entries_by_user.sql": """\
select user_id, max(event_timestamp) as event_timestamp, count(*) as entries
from {{ ref('user_journal_features') }} group by user_id
""",
    "dbt/models/gold/entries_by_user.yml": """\
version: 2
models:
  - name: entries_by_user
    description: A user's entries.
    columns:
      - {name: user_id, data_type: bigint, description: The user.}
      - {name: event_timestamp, data_type: timestamptz, description: The moment the row is of.}
      - {name: entries, data_type: bigint, description: How many there are.}
""",
    "feast_repo/entries.py": '''\
"""How much a user wrote."""

from datetime import timedelta

from entities import user_entity
from feast import FeatureService, FeatureView, Field
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
from feast.types import Int64

entries_by_user = FeatureView(
    name="entries_by_user",
    entities=[user_entity],
    ttl=timedelta(days=30),
    schema=[Field(name="entries", dtype=Int64)],
    source=PostgreSQLSource(
        name="entries_by_user_source", table="entries_by_user", timestamp_field="event_timestamp"
    ),
    description="How much a user wrote.",
)
entries = FeatureService(name="entries", features=[entries_by_user], description="How much a user wrote.")
''',
}
KEYS = {
    "spatial": {"data_lake/rivers"},
    "analytics": {"raw/moods", "gold/entries_by_user"},
    "features": {"online/entries_by_user"},
}
CONTRACTS = ("test_asset_graph.py", "test_isolation.py", "test_locations.py")
# What asks no server: the others make their own data, and read no snapshot.
SUITES = {
    "spatial": ("test_definitions.py",),
    "analytics": ("test_definitions.py", "test_automation.py"),
    "features": ("test_definitions.py",),
}
LIST = """
import importlib, sys
graph = importlib.import_module(sys.argv[1] + ".definitions").defs().resolve_asset_graph()
print(*(key.to_user_string() for key in graph.materializable_asset_keys))
"""


@pytest.fixture(scope="module")
def copy(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = copy_checkout(project, tmp_path_factory.mktemp("additions") / "checkout")
    for file, text in ADDED.items():
        (made.root / file).parent.mkdir(parents=True, exist_ok=True)
        (made.root / file).write_text(text)
    return made


# Each loads a location in a copy and runs its tests: half a minute.
@pytest.mark.skipif("TERRANE_EVERY_KIND" not in os.environ, reason="minutes; TERRANE_EVERY_KIND=1 asks for it")
@pytest.mark.parametrize("location", SUITES)
def test_the_location_s_own_tests_hold(copy: Project, location: str) -> None:
    python, environment = program(copy.location_folder(location), "python"), _variables(copy, location)
    listed = subprocess.run([python, "-c", LIST, location], env=environment, capture_output=True, text=True)
    assert set(listed.stdout.split()) >= KEYS[location], listed.stderr
    _passes(copy, python, environment, *(f"code_locations/{location}/tests/{file}" for file in SUITES[location]))


def test_contracts_hold_and_nothing_generated_follows(copy: Project) -> None:
    contracts = [f"tests/contracts/{file}" for file in CONTRACTS]
    _passes(copy, program(copy.root, "python"), variables(copy), *contracts)
    assert git(copy.root, "diff", "--name-only") == ""


def _variables(copy: Project, location: str) -> dict[str, str]:
    """This process's, with the packages of the copy before those that are installed."""
    sources = [str(folder / "src") for folder in copy.local_packages(copy.location_folder(location), development=True)]
    return {**variables(copy), "PYTHONPATH": os.pathsep.join(sources)}


def _passes(copy: Project, python: Path, environment: dict[str, str], *files: str) -> None:
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=copy.root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
