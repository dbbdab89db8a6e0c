"""The locks agree where they must, are hashed, and name no index."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from terrane_cli.project import Project

pytestmark = pytest.mark.unit

DAGSTER = "1.13.27"
INTEGRATIONS = "0.29.27"
CORE = {"dagster", "dagster-graphql", "dagster-pipes", "dagster-shared", "dagster-webserver"}


def test_every_environment_has_the_same_dagster(project: Project) -> None:
    for folder in project.environments():
        pins = _pins(folder / "requirements.lock")
        ours = {name: version for name, version in pins.items() if name.split("-")[0] == "dagster"}
        assert {ours.pop(name) for name in CORE & set(ours)} == {DAGSTER}, folder.name
        assert set(ours.values()) == {INTEGRATIONS}, folder.name


def test_development_locks_only_add_to_what_runs(project: Project) -> None:
    for folder in project.environments():
        runs, develops = _pins(folder / "requirements.lock"), _pins(folder / "requirements-dev.lock")
        assert {name: develops.get(name) for name in runs} == runs, folder.name


def test_every_locked_package_is_hashed(project: Project) -> None:
    for folder in project.environments():
        for name in ("requirements.lock", "requirements-dev.lock"):
            blocks = re.split(r"\n(?=[a-z0-9])", (folder / name).read_text())
            assert [b.splitlines()[0] for b in blocks if "==" in b and "--hash=sha256:" not in b] == [], folder / name


def test_no_lock_names_an_index(project: Project) -> None:
    for folder in project.environments():
        for name in ("requirements.lock", "requirements-dev.lock"):
            assert "://" not in (folder / name).read_text(), folder / name


def test_installed_environments_are_what_their_locks_say(project: Project) -> None:
    for folder in project.environments():
        python = folder / ".venv/bin/python"
        text = subprocess.run(
            [python, "-c", "from importlib.metadata import version; print(version('dagster'))"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert text.strip() == DAGSTER, folder.name


def _pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^ ;\\]+)", lock.read_text(), re.MULTILINE))
