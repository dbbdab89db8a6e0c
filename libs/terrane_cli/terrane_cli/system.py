"""What Terrane needs of the machine, and getting it from the machine's package manager.

Standard library only: bootstrapping runs this before anything is installed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass

from terrane.servers import postgres, redis


class NotInstallable(Exception):
    """Something is missing and cannot be installed from here; the message says what a person has to type."""


@dataclass(frozen=True)
class Requirement:
    """A program of the machine: its name for people, and where it was found."""

    name: str
    found: str | None


def requirements() -> list[Requirement]:
    """What the stores need, each found or not."""
    installation = postgres.find_installation()
    version = f"{installation.version} in {installation.programs}" if installation else None
    return [
        Requirement("PostgreSQL", version),
        Requirement("PostGIS", version if installation and installation.has_postgis else None),
        Requirement("Redis", redis.find_program()),
    ]


def install_missing() -> None:
    """Installs what `requirements` misses. Raises NotInstallable when that cannot be done."""
    missing = [r.name for r in requirements() if r.found is None]
    if not missing:
        return
    say(f"installing {', '.join(missing)}")
    install(packages_for(missing))
    still = [r.name for r in requirements() if r.found is None]
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
        version = _debian_postgres_version()
        packages += [f"postgresql-{version}", f"postgresql-{version}-postgis-3"]
    if "Redis" in missing:
        packages.append("redis-server")
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


def _debian_postgres_version() -> int:
    """The version that is installed, else the one the distribution's package `postgresql` stands for."""
    installed = postgres.find_installation()
    if installed:
        return installed.version
    for attempt in range(2):
        shown = subprocess.run(["apt-cache", "show", "postgresql"], capture_output=True, text=True).stdout
        if match := re.search(r"^Depends:.*\bpostgresql-(\d+)\b", shown, re.MULTILINE):
            return int(match[1])
        elevate = _elevation()
        if attempt == 0 and elevate is not None:
            _run([*elevate, "apt-get", "update"])
    raise NotInstallable("apt knows no package `postgresql`; install PostgreSQL with PostGIS by hand, then try again.")
