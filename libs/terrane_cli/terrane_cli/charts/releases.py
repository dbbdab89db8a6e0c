"""Values for locations that are each released by themselves, and for the platform's release without them.

Both are made from values/locations.yaml, so that an entry stays where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from terrane_cli.commands import CliError
from terrane_cli.project import Project

LOCATIONS = "charts/platform/values/locations.yaml"


def location_values(project: Project, name: str) -> dict[str, Any]:
    """Values of the official chart of code locations, for a release of this one location.

    Raises CliError for a name that is none.
    """
    shared = yaml.safe_load((project.root / "charts/platform/values.yaml").read_text())["global"]
    return {
        "postgresqlSecretName": shared["postgresqlSecretName"],
        "celeryConfigSecretName": shared["celeryConfigSecretName"],
        "dagsterHome": shared["dagsterHome"],
        "deployments": [_entry(project, name)],
    }


def platform_values(project: Project, names: Sequence[str]) -> dict[str, Any]:
    """Values of the platform's release, after values/locations.yaml: it deploys every other location, and serves all.

    Helm replaces a list as a whole, so that one file has to name all locations that are released by themselves.

    Raises CliError for a name that is none.
    """
    own, entries = [_entry(project, name) for name in names], _entries(project)
    servers = [{"host": entry["name"], "port": entry["port"], "name": entry["name"]} for entry in entries]
    return {
        "dagster": {
            "dagsterWebserver": {"workspace": {"enabled": True, "servers": servers}},
            "dagster-user-deployments": {"deployments": [entry for entry in entries if entry not in own]},
        }
    }


def _entry(project: Project, name: str) -> dict[str, Any]:
    entries = _entries(project)
    for entry in entries:
        if entry["name"] == name:
            return entry
    raise CliError(f"{LOCATIONS} has no location {name}; it has {', '.join(e['name'] for e in entries)}")


def _entries(project: Project) -> list[dict[str, Any]]:
    return yaml.safe_load((project.root / LOCATIONS).read_text())["dagster"]["dagster-user-deployments"]["deployments"]
