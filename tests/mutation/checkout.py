"""A copy of the code to put faults into, with an environment whose packages are installed from that copy.

The working tree stays as it is. Packages of the environment are links to the same files, so a copy takes seconds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from terrane_cli.project import Project


@dataclass(frozen=True)
class Room:
    """A package that faults are put into.

    Attributes:
        name: dotted, as `terrane_spatial.loading`.
        code, library: of the copy: the package's folder, and the library that has its tests.
        python: of the copied environment.
    """

    name: str
    root: Path
    library: Path
    code: Path
    python: Path

    @property
    def modules(self) -> list[Path]:
        return sorted(self.code.rglob("*.py")) if self.code.is_dir() else [self.code]


def make(project: Project, name: str, state: Path, forward: bool = False) -> Room:
    """Copies what is committed and the library's environment below `state`, unless they are there already.

    Args:
        forward: whether a copy that is there is brought to the commit of today; otherwise its own is gone on with.

    Raises SystemExit for a package that no library has.
    """
    top, *inner = name.split(".")
    library = project.root / "libs" / top
    source = next((folder for folder in (library / "src" / top, library / top) if folder.is_dir()), None)
    if source is None:
        raise SystemExit(f"there is no library {top}; ROOM names one, or a package in it, as terrane_spatial.loading")
    root = state / "checkout"
    _copy_commit(project.root, root, forward)
    code = root.joinpath(source.relative_to(project.root), *inner)
    if not code.is_dir():
        code = code.with_suffix(".py")
    if not code.exists():
        raise SystemExit(f"there is no package {name}")
    environment = project.environment_of(library) or project.root
    python = _copy_environment(environment / ".venv", state / "venv", project.root, root)
    return Room(name, root, root / library.relative_to(project.root), code, python)


def changed(root: Path, old: str, module: str) -> bool:
    """Whether the module is another than it was at the old commit."""
    return (
        subprocess.run(["git", "-C", root, "diff", "--quiet", old, "HEAD", "--", module], check=False).returncode != 0
    )


def commit_of(folder: Path) -> str:
    return _git(folder, "rev-parse", "HEAD")


def _copy_commit(source: Path, target: Path, forward: bool) -> None:
    commit = commit_of(source)
    if target.exists():
        # A fault that was being tried when the last run was stopped.
        _git(target, "checkout", "--", ".")
        if (there := commit_of(target)) != commit and forward:
            _git(target, "fetch", "--quiet", "origin", commit)
            _git(target, "checkout", "--quiet", "--detach", commit)
        elif there != commit:
            print(f"going on at commit {there[:7]}; remove {target.parent} to begin anew at {commit[:7]}")
        return
    _git(source, "clone", "--quiet", "--no-hardlinks", str(source), str(target))
    _git(target, "checkout", "--quiet", "--detach", commit)


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def _copy_environment(source: Path, target: Path, old: Path, new: Path) -> Path:
    if not target.exists():
        shutil.copytree(source, target, symlinks=True, copy_function=os.link)
        for path in target.glob("lib/python3*/site-packages/*.pth"):
            text = path.read_text()
            if str(old) in text:
                path.unlink()
                path.write_text(text.replace(str(old), str(new)))
    return target / "bin" / "python"
