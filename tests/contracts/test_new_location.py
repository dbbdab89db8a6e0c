"""A location is made by one command, is like every other at once, and is removed by one command without a trace.

All of it in a copy of the checkout, whose environments are this one's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from terrane_cli.project import Project, program

# What a location has to hold to: everything that asks no store and no cluster.
CONTRACTS = ("test_asset_graph.py", "test_isolation.py", "test_locations.py", "test_locks.py", "test_environment.py")

TOOLS = ".terrane/tools"


@pytest.fixture
def copy(project: Project, tmp_path: Path) -> Project:
    """The checkout as git would have it, under git, with the environments of this one."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=project.root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    root = tmp_path / "checkout"
    for file in filter(None, listed.split("\0")):
        if (project.root / file).is_file():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(project.root / file, root / file)
    for folder in project.environments():
        (root / folder.relative_to(project.root) / ".venv").symlink_to(folder / ".venv")
    # uv, where this machine has it for the project alone.
    if (project.root / TOOLS).exists():
        (root / TOOLS).parent.mkdir()
        (root / TOOLS).symlink_to(project.root / TOOLS)
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "as it was"]):
        _git(root, *words)
    return Project(root)


@pytest.mark.integration
@pytest.mark.slow
def test_a_plain_location_is_made_tested_and_removed(copy: Project) -> None:
    _is_made_tested_and_removed(copy, "plain")


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.skipif("TERRANE_EVERY_KIND" not in os.environ, reason="minutes; TERRANE_EVERY_KIND=1 asks for it")
@pytest.mark.parametrize("kind", ["dbt", "spatial"])
def test_a_location_of_another_kind_is_made_tested_and_removed(copy: Project, kind: str) -> None:
    _is_made_tested_and_removed(copy, kind)


def test_a_name_that_can_t_be_one_makes_nothing(copy: Project) -> None:
    for name, reason in (("json", "Python would import something else"), ("spatial", "is there already")):
        done = _terrane(copy, "location", name)
        assert done.returncode == 1
        assert reason in " ".join(done.stdout.split())
    assert _changes(copy.root) == set()


def _is_made_tested_and_removed(copy: Project, kind: str) -> None:
    made = _terrane(copy, "location", "atlas", "--kind", kind)
    assert made.returncode == 0, made.stdout + made.stderr
    changed = {file for file in _changes(copy.root) if not file.startswith("code_locations/atlas/")}
    # Tracked files outside the folder that differ, and all of them the generator's.
    assert changed == set(_written(made.stdout))
    assert _terrane(copy, "locations", "--check").returncode == 0

    _passes(copy, program(copy.location_folder("atlas"), "python"), "code_locations/atlas/tests")
    _passes(copy, program(copy.root, "python"), *(f"tests/contracts/{file}" for file in CONTRACTS))
    assert "atlas" in (copy.root / "charts/platform/values/locations.yaml").read_text()

    removed = _terrane(copy, "location-remove", "atlas")
    assert removed.returncode == 0, removed.stdout + removed.stderr
    assert _changes(copy.root, ignored=True) == set()


def _terrane(copy: Project, *words: str) -> subprocess.CompletedProcess[str]:
    """The copy's own `terrane`."""
    command = [
        program(copy.root, "python"),
        "-c",
        "from terrane_cli.main import main; raise SystemExit(main())",
        *words,
    ]
    return subprocess.run(command, cwd=copy.root, env=_variables(copy), capture_output=True, text=True)


def _passes(copy: Project, python: Path, *files: str) -> None:
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=copy.root, env=_variables(copy), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def _variables(copy: Project) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_", "TERRANE_"))}
    path = os.pathsep.join(str(copy.root / folder) for folder in ("libs/terrane_cli", "libs/terrane_dev/src"))
    return own | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def _written(output: str) -> list[str]:
    return [line.split(": ", 1)[1] for line in output.splitlines() if line.startswith("  written: ")]


def _changes(root: Path, *, ignored: bool = False) -> set[str]:
    """The files that differ from the commit; with those git ignores, but for environments, caches and `.terrane`."""
    words = ["status", "--porcelain", "--untracked-files=all", *(["--ignored"] if ignored else [])]
    files = {line[3:].strip('"') for line in _git(root, *words).splitlines()}
    links = {f"{folder.relative_to(root)}/.venv".removeprefix("./") for folder in Project(root).environments()}
    return {f for f in files if f.rstrip("/") not in links and "__pycache__" not in f and not f.startswith(".terrane/")}


def _git(root: Path, *words: str) -> str:
    settings = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *settings, *words], cwd=root, capture_output=True, text=True, check=True).stdout
