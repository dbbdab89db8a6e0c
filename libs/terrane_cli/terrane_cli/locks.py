"""Compiling every hashed lock: `requirements.lock` for what runs, `requirements-dev.lock` for that and its tests."""

from __future__ import annotations

import subprocess

from rich.console import Console

from terrane_cli.environments import find_uv
from terrane_cli.project import Project

# No index address and no path of this machine may get into a lock.
OPTIONS = (
    "--universal",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-header",
    "--quiet",
)


def compile_locks(project: Project, console: Console, *, upgrade: bool) -> int:
    """Compiles the locks of the workspace and of every location; returns uv's exit code."""
    uv = str(find_uv(project))
    ours = [f"--no-emit-package={library.name.replace('_', '-')}" for library in project.libraries]
    for folder in project.environments():
        for arguments in (
            ["-o", "requirements.lock", *(["--upgrade"] if upgrade else [])],
            ["--group", "dev", "-c", "requirements.lock", "-o", "requirements-dev.lock"],
        ):
            done = subprocess.run([uv, "pip", "compile", "pyproject.toml", *OPTIONS, *ours, *arguments], cwd=folder)
            if done.returncode:
                return done.returncode
        console.print(f"  {folder.relative_to(project.root.parent)}: locked", highlight=False)
    return 0
