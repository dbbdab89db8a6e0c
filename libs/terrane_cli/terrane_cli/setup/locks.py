"""Compiling every hashed lock: `requirements.lock` for what runs, `requirements-dev.lock` for that and its tests."""

from __future__ import annotations

from pathlib import Path

from terrane_cli.commands import run
from terrane_cli.project import Project
from terrane_cli.setup.environments import find_uv

# No index address and no path of this machine may get into a lock.
OPTIONS = ("--universal", "--generate-hashes", "--no-emit-index-url", "--no-header", "--quiet")


def compile_lock(project: Project, folder: Path, *, upgrade: bool) -> None:
    """Compiles both locks of one environment; a first lock takes the versions that other environments have.

    Raises CliError with uv's words.
    """
    ours = [f"--no-emit-package={library.name.replace('_', '-')}" for library in project.libraries]
    lock, development = folder / "requirements.lock", folder / "requirements-dev.lock"
    if not lock.exists():
        lock.write_text(_versions([other / lock.name for other in project.environments()]))
        development.write_text(_versions([other / development.name for other in project.environments()]))
    compile_one = [find_uv(project), "pip", "compile", "pyproject.toml", *OPTIONS, *ours]
    run([*compile_one, "-o", lock.name, *(["--upgrade"] if upgrade else [])], folder=folder)
    run([*compile_one, "--group", "dev", "-c", lock.name, "-o", development.name], folder=folder)


def _versions(locks: list[Path]) -> str:
    """The pins of other locks, the first of each package: uv prefers what a lock has."""
    pins: dict[str, str] = {}
    for lock in locks:
        for line in lock.read_text().splitlines() if lock.exists() else []:
            if "==" in line and not line.startswith((" ", "#")):
                pins.setdefault(line.split("==")[0], line.rstrip(" \\"))
    return "\n".join(pins.values()) + "\n"
