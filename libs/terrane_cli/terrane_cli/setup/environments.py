"""One virtual environment a location, and one for the workspace, each from its own hashed lock.

Standard library only: bootstrapping runs this before anything is installed.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

from terrane_cli.commands import CliError, run, say
from terrane_cli.project import Project, program

PYTHON = ">=3.11,<3.14"
LOCKS = ("requirements.lock", "requirements-dev.lock")
# Holds one word: whether what tests and linters need was installed too, which holds the plain lock's packages as well.
STAMP = ".venv/.terrane-made"


def find_uv(project: Project) -> Path:
    """uv from PATH, or the one below `.terrane`, put there by pip when there is none yet."""
    if found := uv_there_is(project):
        return found
    tools = project.state / "tools"
    say("uv is missing: getting it by pip")
    _run([sys.executable, "-m", "venv", tools])
    _run([tools / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv"])
    return tools / "bin/uv"


def uv_there_is(project: Project) -> Path | None:
    """uv from PATH or from below `.terrane`, or None."""
    own = project.state / "tools/bin/uv"
    return Path(on_path) if (on_path := shutil.which("uv")) else own if own.exists() else None


def ensure_environment(project: Project, folder: Path, uv: Path, *, development: bool) -> None:
    """Makes or updates the environment of `folder`; takes a moment when its lock has not changed.

    Args:
        development: take `requirements-dev.lock`, which adds what tests and linters need.

    Raises CliError without its locks, and with uv's words where uv fails.

    `UV_PYTHON` names another Python for an environment that is made anew than the first that will do.
    """
    if missing := [name for name in LOCKS if not (folder / name).exists()]:
        raise CliError(f"{folder.name} has no {' and no '.join(missing)}: `make lock` compiles them")
    if is_current(project, folder, development=development):
        return
    began = time.monotonic()
    (folder / STAMP).unlink(missing_ok=True)
    if not program(folder, "python").exists():
        wanted = os.environ.get("UV_PYTHON") or PYTHON
        _run([uv, "venv", "--quiet", "--allow-existing", "--python", wanted, folder / ".venv"])
    pip = [uv, "pip", "install", "--quiet", "--python", program(folder, "python")]
    _run([*pip, "--compile-bytecode", "--require-hashes", "-r", folder / LOCKS[development]])
    packages = project.local_packages(folder, development=development)
    _run([*pip, "--no-deps", *(part for package in packages for part in ("--editable", package))])
    (folder / STAMP).write_text("development" if development else "plain")
    say(f"{project.environment_name(folder)}: environment ready in {time.monotonic() - began:.0f} s")


def is_current(project: Project, folder: Path, *, development: bool = False) -> bool:
    """Whether the environment is there, and newer than its locks and the packages of this checkout that it holds."""
    stamp = folder / STAMP
    if not stamp.exists() or (development and stamp.read_text() != "development"):
        return False
    packages = project.local_packages(folder, development=development)
    made_of = [*(folder / name for name in LOCKS), *(package / "pyproject.toml" for package in packages)]
    return all(file.exists() and file.stat().st_mtime_ns < stamp.stat().st_mtime_ns for file in made_of)


def _run(command: list[str | Path]) -> None:
    # A variable of an active environment would make uv install there.
    run(command, environment={k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"})
