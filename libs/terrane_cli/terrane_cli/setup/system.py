"""What Terrane needs of the machine, and getting it from the machine's package manager.

Standard library only: bootstrapping runs this before anything is installed.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys

from terrane_cli.commands import CliError, answers, run, say
from terrane_cli.findings import Finding
from terrane_dev.servers import postgres, redis

VENV = "uv or Python's venv"


def requirements(uv: str | None) -> list[Finding]:
    """What the stores need, and what gets uv where it is missing, each found or not."""
    installation = postgres.find_installation()
    version = f"{installation.version} in {installation.programs}" if installation else None
    found = {
        "PostgreSQL": version,
        "PostGIS": version if installation and installation.has_postgis else None,
        "Redis": redis.find_program(),
        VENV: uv or (sys.executable if importlib.util.find_spec("ensurepip") else None),
    }
    return [Finding(name, where is not None, where or "`make setup` installs it") for name, where in found.items()]


def install_missing(uv: str | None, *, stores: bool = True) -> None:
    """Installs what `requirements` misses. Raises CliError when that cannot be done.

    Args:
        stores: whether Postgres and Redis are wanted on this machine; a cluster has its own.
    """
    if not (missing := _missing(uv, stores)):
        return
    say(f"missing, to be installed: {', '.join(missing)}")
    packages = packages_for(missing)
    install(packages)
    if still := _missing(uv, stores):
        raise CliError(f"{', '.join(still)} cannot be found even after installing: {' '.join(packages)}")


def _missing(uv: str | None, stores: bool) -> list[str]:
    return [f.name for f in requirements(uv) if not f.good and (stores or f.name == VENV)]


def packages_for(missing: list[str]) -> list[str]:
    """The names of the packages for what is missing, as this machine's package manager calls them."""
    brew = bool(shutil.which("brew")) and sys.platform == "darwin"
    packages = []
    if {"PostgreSQL", "PostGIS"} & set(missing):
        packages += ["postgis"] if brew else _debian_postgres_packages()
    if "Redis" in missing:
        packages.append("redis" if brew else "redis-server")
    if VENV in missing and not brew:
        packages.append(f"python3.{sys.version_info.minor}-venv")
    return packages


def install(packages: list[str]) -> None:
    """Installs packages with brew or apt. Raises CliError, naming the command, where neither can be used."""
    words = " ".join(packages)
    if sys.platform == "darwin":
        if not shutil.which("brew"):
            raise CliError(f"Homebrew is missing, and with it: {words}. Install Homebrew, then try again.")
        run(["brew", "install", *packages])
        return
    if not shutil.which("apt-get"):
        raise CliError(f"This system has no apt-get. Install the equivalents of {words}, then try again.")
    apt = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    elevate = _elevation()
    if elevate is None:
        by_hand = f"sudo apt-get update && sudo {' '.join(apt)}"
        told = "These packages are missing and only root may install them. Run this, then try again"
        raise CliError(f"{told}:\n  {by_hand}")
    for command in (["apt-get", "update"], apt):
        run([*elevate, *command], environment=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})


def _elevation() -> list[str] | None:
    """What makes a command run as root, or None where nothing does."""
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        return None
    return ["sudo"] if sys.stdin.isatty() or answers(["sudo", "-n", "true"]) is not None else None


def _debian_postgres_packages() -> list[str]:
    """Of the version that is installed, else the ones that stand for the distribution's own."""
    installed = postgres.find_installation()
    if installed is None:
        return ["postgresql", "postgresql-postgis"]
    return [f"postgresql-{installed.version}", f"postgresql-{installed.version}-postgis-3"]
