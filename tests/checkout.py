"""A copy of the checkout, under git, to change: what tests and benchmarks of locations do their work in."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from terrane_cli.project import Project, program

TOOLS = ".terrane/tools"
# Of this machine, and no platform's.
OF_MACHINE = {"TERRANE_HELM", "TERRANE_DAGSTER_CHART", "TERRANE_DAGSTER_CHART_OLDER", "TERRANE_CHARTS"}
# Folders that any load of any location fills: bytecode, and what dbt and Feast say of their files.
BY_LOADING = {"__pycache__", ".terrane", "target"}


def copy_checkout(project: Project, root: Path) -> Project:
    """The checkout as git would have it, committed in a repository of its own, with the environments of this one."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=project.root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
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
        git(root, *words)
    return Project(root)


def terrane(copy: Project, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs the copy's own `terrane`, with more variables."""
    entry = "from terrane_cli.main import main; raise SystemExit(main())"
    command = [program(copy.root, "python"), "-c", entry, *words]
    return subprocess.run(command, cwd=copy.root, env=variables(copy) | more, capture_output=True, text=True)


def variables(copy: Project) -> dict[str, str]:
    """This process's, with the copy's command and nothing of pytest or of a platform that runs."""
    left_out = {name for name in os.environ if name.startswith(("PYTEST_", "COV_", "TERRANE_"))} - OF_MACHINE
    own = {name: value for name, value in os.environ.items() if name not in left_out}
    path = os.pathsep.join(str(copy.root / folder) for folder in ("libs/terrane_cli", "libs/terrane_dev/src"))
    return own | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def written(output: str) -> set[str]:
    """The files that the command says its generator wrote."""
    return {line.split(": ", 1)[1] for line in output.splitlines() if line.startswith("  written: ")}


def changes(root: Path, *, ignored: bool = False) -> set[str]:
    """The files that differ from the commit; with those git ignores, but for environments and what loading makes."""
    words = ["status", "--porcelain", "--untracked-files=all", *(["--ignored"] if ignored else [])]
    files = {line[3:].strip('"') for line in git(root, *words).splitlines()}
    links = {f"{folder.relative_to(root)}/.venv".removeprefix("./") for folder in Project(root).environments()}
    return {f for f in files if f.rstrip("/") not in links and not BY_LOADING & set(Path(f).parts)}


def git(root: Path, *words: str) -> str:
    settings = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *settings, *words], cwd=root, capture_output=True, text=True, check=True).stdout
