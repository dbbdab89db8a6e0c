"""Environments are made from their locks, again only when a lock changed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from terrane_cli.commands import CliError
from terrane_cli.project import Project, program
from terrane_cli.setup import environments

pytestmark = pytest.mark.integration


@pytest.fixture
def small(tmp_path: Path) -> Project:
    """A workspace without dependencies, beside a shared library without any."""
    project = Project(tmp_path)
    for folder, name in ((tmp_path, "small"), (tmp_path / "libs/terrane", "terrane")):
        (folder / f"src/{name}").mkdir(parents=True)
        (folder / f"src/{name}/__init__.py").write_text("")
        (folder / "pyproject.toml").write_text(
            f'[project]\nname = "{name}"\nversion = "1"\nrequires-python = ">=3.11"\n'
            + ('dependencies = ["terrane"]\n' if folder == tmp_path else "")
            + '[build-system]\nrequires = ["uv_build>=0.8,<1"]\nbuild-backend = "uv_build"\n'
            + '[tool.uv.sources]\nterrane = {path = "libs/terrane", editable = true}\n'
        )
    for lock in ("requirements.lock", "requirements-dev.lock"):
        (tmp_path / lock).write_text("")
    return project


def test_a_python_that_is_named_is_the_one_that_is_taken(small: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_PYTHON", "3.99")
    with pytest.raises(CliError, match=r"3\.99"):
        environments.ensure_environment(small, small.root, environments.find_uv(small), development=False)


def test_an_environment_holds_our_packages_and_is_made_once(small: Project, capsys: pytest.CaptureFixture[str]) -> None:
    uv = environments.find_uv(small)
    environments.ensure_environment(small, small.root, uv, development=False)
    assert environments.is_current(small, small.root)
    assert "environment ready" in capsys.readouterr().out
    environments.ensure_environment(small, small.root, uv, development=False)
    assert capsys.readouterr().out == ""
    code = "import small, terrane; print(terrane.__file__)"
    done = subprocess.run([program(small.root, "python"), "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(small.root / "libs/terrane/src/terrane/__init__.py")


def test_a_lock_that_changed_makes_it_out_of_date(small: Project) -> None:
    uv = environments.find_uv(small)
    environments.ensure_environment(small, small.root, uv, development=True)
    assert environments.is_current(small, small.root)
    (small.root / "requirements.lock").write_text("# changed\n")
    assert not environments.is_current(small, small.root)


def test_a_package_whose_hash_is_not_locked_is_refused(small: Project) -> None:
    (small.root / "requirements.lock").write_text("iniconfig==2.1.0\n")
    with pytest.raises(CliError, match="hash"):
        environments.ensure_environment(small, small.root, environments.find_uv(small), development=False)
    assert not environments.is_current(small, small.root)


@pytest.mark.slow
def test_without_uv_pip_gets_it(small: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "uv" else which(name))
    assert environments.find_uv(small) == small.state / "tools/bin/uv"
    assert environments.find_uv(small).exists()


def test_an_environment_without_a_lock_is_refused_with_what_makes_one(tmp_path: Path) -> None:
    folder = tmp_path / "code_locations/maps"
    folder.mkdir(parents=True)
    (folder / "requirements.lock").touch()
    with pytest.raises(CliError, match="maps has no requirements-dev.lock: `make lock` compiles them"):
        environments.ensure_environment(Project(tmp_path), folder, Path("uv"), development=False)
