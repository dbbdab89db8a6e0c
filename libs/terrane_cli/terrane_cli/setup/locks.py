"""Compiling every hashed lock: `requirements.lock` for what runs, `requirements-dev.lock` for that and its tests."""

from __future__ import annotations

import subprocess
from pathlib import Path

from rich.console import Console

from terrane_cli.project import Project
from terrane_cli.setup.environments import find_uv
from terrane_cli.setup.system import NotInstallable

# No index address and no path of this machine may get into a lock.
OPTIONS = (
    "--universal",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-header",
    "--quiet",
)


def compile_locks(project: Project, console: Console, *, upgrade: bool) -> int:
    """Compiles the locks of the workspace and of every location; returns 1 when one of them fails, after all others."""
    failed = 0
    for folder in project.environments():
        name = folder.relative_to(project.root.parent)
        try:
            compile_lock(project, folder, upgrade=upgrade)
        except NotInstallable as problem:
            console.print(f"  [red]{name}: not locked.[/] {problem}", highlight=False)
            failed = 1
        else:
            console.print(f"  {name}: locked", highlight=False)
    return failed


def compile_lock(project: Project, folder: Path, *, upgrade: bool) -> None:
    """Compiles both locks of one environment; a first lock takes the versions that other environments have.

    Raises NotInstallable with uv's words.
    """
    ours = [f"--no-emit-package={library.name.replace('_', '-')}" for library in project.libraries]
    lock, development = folder / "requirements.lock", folder / "requirements-dev.lock"
    if not lock.exists():
        lock.write_text(_versions([other / lock.name for other in project.environments()]))
        development.write_text(_versions([other / development.name for other in project.environments()]))
    for arguments in (
        ["-o", "requirements.lock", *(["--upgrade"] if upgrade else [])],
        ["--group", "dev", "-c", "requirements.lock", "-o", "requirements-dev.lock"],
    ):
        command = [str(find_uv(project)), "pip", "compile", "pyproject.toml", *OPTIONS, *ours, *arguments]
        done = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise NotInstallable(done.stderr.strip()[-2000:])


def _versions(locks: list[Path]) -> str:
    """The pins of other locks, the first of each package: uv prefers what a lock has."""
    pins: dict[str, str] = {}
    for lock in locks:
        for line in lock.read_text().splitlines() if lock.exists() else []:
            if "==" in line and not line.startswith((" ", "#")):
                pins.setdefault(line.split("==")[0], line.rstrip(" \\"))
    return "\n".join(pins.values()) + "\n"
