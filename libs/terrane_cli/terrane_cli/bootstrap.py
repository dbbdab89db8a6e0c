"""Sets a machine up, from nothing but Python: uv, the stores' programs, and every virtual environment.

Run by `make` as `python3 -m terrane_cli.bootstrap`, with the interpreter of the system and no package installed.
"""

from __future__ import annotations

import argparse
import sys

OLDEST_PYTHON = (3, 11)


def main() -> int:
    parser = argparse.ArgumentParser(description="Set this machine up for Terrane.")
    parser.add_argument("--development", action="store_true", help="also install what tests and linters need")
    options = parser.parse_args()
    if sys.version_info < OLDEST_PYTHON:
        print(f"Terrane needs Python 3.11 or newer, and this is {sys.version.split()[0]}.", file=sys.stderr)
        return 1

    from terrane_cli.environments import ensure_environment, find_uv, uv_there_is
    from terrane_cli.project import Project
    from terrane_cli.system import NotInstallable, install_missing

    project = Project.here()
    try:
        there = uv_there_is(project)
        install_missing(str(there) if there else None)
        uv = find_uv(project)
        for folder in project.environments():
            ensure_environment(project, folder, uv, development=options.development)
    except NotInstallable as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
