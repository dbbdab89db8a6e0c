"""Sets a machine up, from nothing but Python: uv, the stores' programs, and every virtual environment.

Run by `make` as `python3 -m terrane_cli.bootstrap`, with the interpreter of the system and no package installed.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from terrane_cli.project import Project

OLDEST_PYTHON = (3, 11)


def main() -> int:
    parser = argparse.ArgumentParser(description="Set this machine up for Terrane.")
    parser.add_argument("--development", action="store_true", help="also install what tests and linters need")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="these environments: workspace, spatial")
    parser.add_argument("--without-stores", action="store_true", help="no Postgres and no Redis on this machine")
    options = parser.parse_args()
    if sys.version_info < OLDEST_PYTHON:
        print(f"Terrane needs Python 3.11 or newer, and this is {sys.version.split()[0]}.", file=sys.stderr)
        return 1

    from terrane_cli.commands import CliError
    from terrane_cli.project import Project
    from terrane_cli.setup.environments import ensure_environment, find_uv, uv_there_is
    from terrane_cli.setup.system import install_missing

    project = Project.here()
    try:
        there = uv_there_is(project)
        install_missing(str(there) if there else None, stores=not options.without_stores)
        folders = chosen(project, options.only)
        uv = find_uv(project)
    except CliError as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    failed = []
    for folder in folders:
        try:
            ensure_environment(project, folder, uv, development=options.development)
        except CliError as problem:
            failed.append(folder)
            print(f"\n{folder.name} is left out: {problem}", file=sys.stderr)
    # A location that is half made stops itself alone, where the platform runs; not where it is tested.
    return 1 if project.root in failed or (failed and options.development) else 0


def chosen(project: Project, names: list[str]) -> list[Path]:
    """The folders of these environments, all where none is named. Raises CliError for a name that is none."""
    from terrane_cli.commands import CliError

    known = {project.environment_name(folder): folder for folder in project.environments()}
    if unknown := sorted(set(names) - set(known)):
        raise CliError(f"there is no environment {', '.join(unknown)}; there are {', '.join(known)}")
    return [folder for name, folder in known.items() if not names or name in names]


if __name__ == "__main__":
    sys.exit(main())
