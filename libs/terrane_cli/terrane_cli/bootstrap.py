"""Sets a machine up, from nothing but Python: uv, the stores' programs, and every virtual environment.

Run by `make` as `python3 -m terrane_cli.bootstrap`, with the interpreter of the system and no package installed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

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

    from terrane_cli.project import Project
    from terrane_cli.setup.environments import ensure_environment, find_uv, uv_there_is
    from terrane_cli.setup.system import NotInstallable, install_missing

    project = Project.here()
    try:
        there = uv_there_is(project)
        install_missing(str(there) if there else None, stores=not options.without_stores)
        folders = chosen(project.environments(), options.only, project.root)
        uv = find_uv(project)
    except NotInstallable as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    failed = []
    for folder in folders:
        try:
            ensure_environment(project, folder, uv, development=options.development)
        except NotInstallable as problem:
            failed.append(folder)
            print(f"\n{folder.name} is left out: {problem}", file=sys.stderr)
    # A location that is half made stops itself alone, where the platform runs; not where it is tested.
    return 1 if project.root in failed or (failed and options.development) else 0


def chosen(folders: list[Path], names: list[str], root: Path) -> list[Path]:
    """The folders of these names, all of them where none is named. Raises NotInstallable for a name that is none."""
    from terrane_cli.setup.system import NotInstallable

    known = {"workspace" if folder == root else folder.name: folder for folder in folders}
    if unknown := sorted(set(names) - set(known)):
        raise NotInstallable(f"there is no environment {', '.join(unknown)}; there are {', '.join(known)}")
    return [folder for name, folder in known.items() if not names or name in names]


if __name__ == "__main__":
    sys.exit(main())
