"""One virtual environment a location, and one for the workspace, each from its own hashed lock.

Standard library only: bootstrapping runs this before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from terrane_cli.project import Project, program
from terrane_cli.setup.system import NotInstallable, say

PYTHON = ">=3.11,<3.14"
LOCKS = ("requirements.lock", "requirements-dev.lock")
STAMP = ".venv/.terrane-lock"


def find_uv(project: Project) -> Path:
    """uv from PATH, or the one below `.terrane`, put there by pip when there is none yet."""
    tools = project.state / "tools"
    if found := uv_there_is(project):
        return found
    say("uv is missing: getting it by pip")
    _run([sys.executable, "-m", "venv", str(tools)])
    _run([str(tools / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv"])
    return tools / "bin/uv"


def uv_there_is(project: Project) -> Path | None:
    """uv from PATH or from below `.terrane`, or None."""
    if on_path := shutil.which("uv"):
        return Path(on_path)
    own = project.state / "tools/bin/uv"
    return own if own.exists() else None


def ensure_environment(project: Project, folder: Path, uv: Path, *, development: bool) -> None:
    """Makes or updates the environment of `folder`; takes a moment when its lock has not changed.

    Args:
        development: take `requirements-dev.lock`, which adds what tests and linters need.

    Raises NotInstallable without its locks, and with uv's words where uv fails.

    `UV_PYTHON` names another Python for an environment that is made anew than the first that will do.
    """
    if missing := [name for name in LOCKS if not (folder / name).exists()]:
        raise NotInstallable(f"{folder.name} has no {' and no '.join(missing)}: `make lock` compiles them")
    wanted = _fingerprint(project, folder, development=development)
    stamp = folder / STAMP
    have = stamp.read_text().split() if stamp.exists() else []
    if wanted in have:
        return
    began = time.monotonic()
    python = os.environ.get("UV_PYTHON") or PYTHON
    lock = folder / ("requirements-dev.lock" if development else "requirements.lock")
    if not program(folder, "python").exists():
        _run([str(uv), "venv", "--quiet", "--allow-existing", "--python", python, str(folder / ".venv")])
    pip = [str(uv), "pip", "install", "--quiet", "--python", str(program(folder, "python"))]
    _run([*pip, "--compile-bytecode", "--require-hashes", "-r", str(lock)])
    packages = project.local_packages(folder, development=development)
    _run([*pip, "--no-deps", *(part for package in packages for part in ("--editable", str(package)))])
    # What development installs holds the plain lock too, so its stamp stands for both.
    plain = _fingerprint(project, folder, development=False)
    stamp.write_text("\n".join([plain, wanted]))
    name = "workspace" if folder == project.root else folder.name
    say(f"{name}: environment ready in {time.monotonic() - began:.0f} s")


def is_current(project: Project, folder: Path) -> bool:
    """Whether the environment is there and made from the lock as it is now."""
    stamp = folder / STAMP
    return stamp.exists() and _fingerprint(project, folder, development=False) in stamp.read_text().split()


def _fingerprint(project: Project, folder: Path, *, development: bool) -> str:
    digest = hashlib.sha256(b"dev" if development else b"plain")
    packages = project.local_packages(folder, development=development)
    for file in (
        *(folder / name for name in LOCKS if (folder / name).exists()),
        *(package / "pyproject.toml" for package in packages),
    ):
        digest.update(file.read_bytes())
    digest.update(str(project.root).encode())
    return digest.hexdigest()


def _run(command: list[str]) -> None:
    # A variable of an active environment would make uv install there.
    environment = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise NotInstallable(f"`{' '.join(command)}` failed with code {done.returncode}:\n{done.stdout.strip()}")
