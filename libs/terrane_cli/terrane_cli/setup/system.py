"""What Terrane needs of the machine, and getting it from the machine's package manager.

Standard library only: bootstrapping runs this before anything is installed.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

from terrane_dev.servers import postgres, redis

VENV = "uv or Python's venv"


class NotInstallable(Exception):
    """Something is missing and cannot be installed from here; the message says what a person has to type."""


@dataclass(frozen=True)
class Requirement:
    """Something of the machine: its name for people, and where it was found."""

    name: str
    found: str | None


def requirements(uv: str | None) -> list[Requirement]:
    """What the stores need, and what gets uv where it is missing, each found or not."""
    installation = postgres.find_installation()
    version = f"{installation.version} in {installation.programs}" if installation else None
    return [
        Requirement("PostgreSQL", version),
        Requirement("PostGIS", version if installation and installation.has_postgis else None),
        Requirement("Redis", redis.find_program()),
        Requirement(VENV, uv or (sys.executable if importlib.util.find_spec("ensurepip") else None)),
    ]


def install_missing(uv: str | None, *, stores: bool = True) -> None:
    """Installs what `requirements` misses. Raises NotInstallable when that cannot be done.

    Args:
        stores: whether Postgres and Redis are wanted on this machine; a cluster has its own.
    """
    wanted = {r.name for r in requirements(uv)} if stores else {VENV}
    missing = [r.name for r in requirements(uv) if r.found is None and r.name in wanted]
    if not missing:
        return
    say(f"missing, to be installed: {', '.join(missing)}")
    install(packages_for(missing))
    still = [r.name for r in requirements(uv) if r.found is None and r.name in wanted]
    if still:
        raise NotInstallable(
            f"{', '.join(still)} cannot be found even after installing: {' '.join(packages_for(missing))}"
        )


def packages_for(missing: list[str]) -> list[str]:
    """The names of the packages for what is missing, as this machine's package manager calls them."""
    if shutil.which("brew") and sys.platform == "darwin":
        return [
            p for p, needs in (("postgis", {"PostgreSQL", "PostGIS"}), ("redis", {"Redis"})) if needs & set(missing)
        ]
    packages = []
    if {"PostgreSQL", "PostGIS"} & set(missing):
        packages += _debian_postgres_packages()
    if "Redis" in missing:
        packages.append("redis-server")
    if VENV in missing:
        packages.append(f"python3.{sys.version_info.minor}-venv")
    return packages


def install(packages: list[str]) -> None:
    """Installs packages with brew or apt. Raises NotInstallable, naming the command, where neither can be used."""
    if sys.platform == "darwin":
        command = ["brew", "install", *packages]
        if not shutil.which("brew"):
            raise NotInstallable(
                f"Homebrew is missing, and with it: {' '.join(packages)}. Install Homebrew, then try again."
            )
        _run(command)
        return
    apt = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    by_hand = f"sudo apt-get update && sudo {' '.join(apt)}"
    if not shutil.which("apt-get"):
        raise NotInstallable(
            f"This system has no apt-get. Install the equivalents of {' '.join(packages)}, then try again."
        )
    elevate = _elevation()
    if elevate is None:
        raise NotInstallable(
            f"These packages are missing and only root may install them. Run this, then try again:\n  {by_hand}"
        )
    _run([*elevate, "apt-get", "update"])
    _run([*elevate, *apt])


def say(text: str) -> None:
    print(f"  {text}", flush=True)


def _elevation() -> list[str] | None:
    """What makes a command run as root, or None where nothing does."""
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        return None
    if sys.stdin.isatty() or subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        return ["sudo"]
    return None


def _run(command: list[str]) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        end = "\n".join(f"  {line}" for line in done.stdout.strip().splitlines()[-8:])
        raise NotInstallable(f"`{' '.join(command)}` failed with code {done.returncode}:\n{end}")


def _debian_postgres_packages() -> list[str]:
    """Of the version that is installed, else the ones that stand for the distribution's own."""
    installed = postgres.find_installation()
    if installed is None:
        return ["postgresql", "postgresql-postgis"]
    return [f"postgresql-{installed.version}", f"postgresql-{installed.version}-postgis-3"]
