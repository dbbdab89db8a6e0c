"""A location is made by one command, is like every other at once, and is removed by one command without a trace.

All of it in a copy of the checkout, whose environments are this one's.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tests.checkout import changes, copy_checkout, terrane, variables, written

from terrane_cli.project import Project, program

# What a location has to hold to: everything that asks no store and no cluster.
CONTRACTS = ("test_asset_graph.py", "test_isolation.py", "test_locations.py", "test_locks.py", "test_environment.py")
# What a run is given, rendered with the chart of every profile; of locations of other kinds, all that is rendered.
RENDERED = "tests/charts/test_runs.py"
EVERY_KIND = pytest.mark.skipif(
    "TERRANE_EVERY_KIND" not in os.environ, reason="minutes; `make test-locations` asks for it"
)


@pytest.fixture
def copy(project: Project, tmp_path: Path) -> Project:
    return copy_checkout(project, tmp_path / "checkout")


@pytest.mark.integration
@pytest.mark.slow
def test_a_plain_location_is_made_tested_and_removed(copy: Project) -> None:
    _make(copy, "atlas", "plain")
    _holds(copy, "atlas")
    _passes(copy, program(copy.root, "python"), RENDERED)
    _remove(copy, "atlas")
    assert changes(copy.root, ignored=True) == set()


@pytest.mark.integration
@pytest.mark.slow
@EVERY_KIND
@pytest.mark.parametrize("kind", ["dbt", "spatial", "features"])
def test_two_locations_of_a_kind_are_made_side_by_side_tested_and_removed(copy: Project, kind: str) -> None:
    """Beside the one of this kind that there is, so that three are side by side."""
    _make(copy, "atlas", kind)
    _make(copy, "globe", kind)
    _holds(copy, "atlas", "globe")
    _passes(copy, program(copy.root, "python"), "tests/charts")
    _remove(copy, "atlas")
    _remove(copy, "globe")
    assert changes(copy.root, ignored=True) == set()


def test_a_name_that_can_t_be_one_makes_nothing(copy: Project) -> None:
    reasons = {
        "json": "Python would import something else",
        "spatial": "is there already",
        "gold": "has a schema of that name",
    }
    for name, reason in reasons.items():
        done = terrane(copy, "location", name)
        assert done.returncode == 1
        assert reason in " ".join(done.stdout.split())
    assert changes(copy.root) == set()


def _make(copy: Project, name: str, kind: str) -> None:
    """Makes the location; tracked files outside its folder that differ are all the generator's."""
    before = changes(copy.root)
    made = terrane(copy, "location", name, "--kind", kind)
    assert made.returncode == 0, made.stdout + made.stderr
    new = {file for file in changes(copy.root) - before if not file.startswith(f"code_locations/{name}/")}
    assert new <= written(made.stdout)


def _holds(copy: Project, *names: str) -> None:
    """What the locations' own tests and the contracts ask."""
    assert terrane(copy, "locations", "--check").returncode == 0
    for name in names:
        _passes(copy, program(copy.location_folder(name), "python"), f"code_locations/{name}/tests")
        assert name in (copy.root / "charts/platform/values/locations.yaml").read_text()
    _passes(copy, program(copy.root, "python"), *(f"tests/contracts/{file}" for file in CONTRACTS))


def _remove(copy: Project, name: str) -> None:
    removed = terrane(copy, "location-remove", name)
    assert removed.returncode == 0, removed.stdout + removed.stderr


def _passes(copy: Project, python: Path, *files: str) -> None:
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=copy.root, env=variables(copy), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
