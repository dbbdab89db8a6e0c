"""This machine's ports and passwords, made once, and the environment its processes run with."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from terrane import names
from terrane_cli.locations.words import Server, own_database
from terrane_cli.project import FIRST_CODE_SERVER_PORT, UI_PORT, Project
from terrane_dev.servers.process import free_port, port_is_free

if TYPE_CHECKING:
    from terrane_cli.locations.description import Location

PASSWORDS = ("postgres", names.DAGSTER, names.WAREHOUSE, names.SPATIAL, "redis", "minio", "api")
DAYS_OF_HISTORY = 60
FEATURE_SERVER_PORT = 6566
# Of what is no location's; any free one for 0.
PLATFORM_PORTS = {"postgres": 0, "redis": 0, "source": 0, "feature-server": FEATURE_SERVER_PORT, "webserver": UI_PORT}


@dataclass
class Settings:
    """Ports by process, passwords by account, and the first day of the sample source's data."""

    ports: dict[str, int] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    first_day: str = ""

    @classmethod
    def load(cls, project: Project) -> Settings:
        """What was made before, completed with what is new: a location that was added, say."""
        file = project.state / "settings.json"
        settings = cls(**json.loads(file.read_text())) if file.exists() else cls()
        settings._complete(project)
        settings.save(project)
        return settings

    def save(self, project: Project) -> None:
        """Writes the file for its owner's eyes alone, in one step."""
        project.state.mkdir(parents=True, exist_ok=True)
        file = project.state / "settings.json"
        draft = file.with_suffix(".draft")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(asdict(self), indent=2))
        draft.replace(file)

    def move_taken_ports(self, running: Iterable[str], chosen: Collection[int] = ()) -> list[str]:
        """Gives every process that is not running, and whose port is taken, another; returns their names.

        Args:
            chosen: ports that somebody else has chosen and does not listen on yet.
        """
        moved = [
            name
            for name, port in self.ports.items()
            if name not in running and (port in chosen or not port_is_free(port))
        ]
        for name in moved:
            self.ports[name] = self._pick(self.ports[name], chosen)
        return moved

    def url(self, process: str) -> str:
        return f"http://127.0.0.1:{self.ports[process]}"

    def environment(self, project: Project) -> dict[str, str]:
        """What every process of the platform is given, over the caller's own environment."""
        postgres_port = str(self.ports["postgres"])
        address = {"HOST": "127.0.0.1", "PORT": postgres_port}
        dagster = address | self._database(names.DAGSTER, names.current().database(names.DAGSTER))
        warehouse = address | self._database(names.WAREHOUSE, names.WAREHOUSE)
        spatial = address | self._database(names.SPATIAL, names.SPATIAL_COMPUTE)
        return {
            **os.environ,
            names.VARIABLE: names.current().environment,
            names.SUFFIX_VARIABLE: names.current().suffix,
            names.AUTOMATION_VARIABLE: os.environ.get(names.AUTOMATION_VARIABLE, ""),
            "DAGSTER_HOME": str(project.state / "dagster"),
            **{f"DAGSTER_POSTGRES_{k}": v for k, v in dagster.items()},
            **{f"WAREHOUSE_{k}": v for k, v in warehouse.items()},
            **{f"POSTGRES_{k}": v for k, v in spatial.items()},
            "POSTGRES_LEDGER_DB": names.SPATIAL_ETL,
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(self.ports["redis"]),
            "REDIS_DB": "0",
            "REDIS_PASSWORD": self.passwords["redis"],
            "MINIO_ENDPOINT": (project.state / "objects").as_uri(),
            "MINIO_ROOT_USER": "terrane",
            "MINIO_ROOT_PASSWORD": self.passwords["minio"],
            "SOURCE_API_URL": self.url("source"),
            "API_KEY": self.passwords["api"],
            "INGESTION_START_DATE": self.first_day,
            "FEAST_REPO_PATH": str(project.root / "feast_repo"),
            "FEATURE_SERVER_URL": self.url("feature-server"),
            "DBT_PROFILES_DIR": str(project.root / "dbt"),
            "TERRANE_DBT_SESSION": "dbt",
            "TERRANE_BROKEN_DEFINITIONS": "left_out",
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "PYTHONUNBUFFERED": "1",
            "TZ": "UTC",
        }

    def location_environment(self, project: Project, location: str) -> dict[str, str]:
        """What the processes of one location are given beside: what it alone reads, and its own database."""
        described = _described(project, "variables:").get(location)
        values = {name: said.value for name, said in described.variables.items()} if described else {}
        own = {name: os.environ.get(name, value) for name, value in values.items() if value is not None}
        role = own_database(location)
        if role in wanted_databases(project):
            address = {"HOST": "127.0.0.1", "PORT": str(self.ports["postgres"])} | self._database(role, role)
            own |= {f"LOCATION_{name}": value for name, value in address.items()}
        return own

    def removed(self, project: Project) -> list[str]:
        """The locations that were made a port for, and that there are no more."""
        return sorted(self.ports.keys() - PLATFORM_PORTS.keys() - set(project.locations))

    def forget(self, location: str) -> None:
        """Forgets a location that was removed: its port, and the password of its database, which stays."""
        self.ports.pop(location, None)
        self.passwords.pop(own_database(location), None)

    def _database(self, role: str, database: str) -> dict[str, str]:
        return {"USER": role, "PASSWORD": self.passwords[role], "DB": database}

    def _complete(self, project: Project) -> None:
        for name in (*PASSWORDS, *wanted_databases(project)):
            # Letters and digits alone: Feast splits its Redis connection at commas and decodes numbers.
            self.passwords.setdefault(name, f"t{secrets.token_hex(16)}")
        self.first_day = self.first_day or _days_ago(DAYS_OF_HISTORY).isoformat()
        wanted = PLATFORM_PORTS | {name: FIRST_CODE_SERVER_PORT + i for i, name in enumerate(project.locations)}
        for name, port in wanted.items():
            if name not in self.ports:
                self.ports[name] = self._pick(port)

    def _pick(self, wanted: int, chosen: Collection[int] = ()) -> int:
        """The wanted port, or the next that is free and not given away; any free one for 0."""
        port = wanted or free_port()
        while port in self.ports.values() or port in chosen or not port_is_free(port):
            port = port + 1 if wanted else free_port()
        return port


def wanted_databases(project: Project) -> dict[str, tuple[str, ...]]:
    """The databases that locations want for themselves, each of a role of its name, and their extensions."""
    wanted = {own_database(name): location.database for name, location in _described(project, "database:").items()}
    return {name: ("postgis",) if server == Server.POSTGIS else () for name, server in wanted.items() if server}


def _described(project: Project, word: str) -> dict[str, Location]:
    """What the locations say of themselves, where the word is in what any of them says."""
    files = [project.location_folder(name) / "location.yaml" for name in project.locations]
    if not any(word in file.read_text() for file in files if file.is_file()):
        return {}
    # A module of pydantic's, 0.1 s: for those alone who want it.
    from terrane_cli.locations.description import read_locations

    return read_locations(project)[0]


def databases(project: Project) -> dict[str, dict[str, tuple[str, ...]]]:
    """Of each role, the databases it owns, and their extensions.

    Dagster's tables have fixed names, so that each environment's Dagster has a database of its own; in the others,
    schemas are of an environment.
    """
    return {
        names.DAGSTER: {names.current().database(names.DAGSTER): ()},
        names.WAREHOUSE: {names.WAREHOUSE: ()},
        names.SPATIAL: {names.SPATIAL_COMPUTE: ("postgis",), names.SPATIAL_ETL: ()},
        **{name: {name: extensions} for name, extensions in wanted_databases(project).items()},
    }


def _days_ago(days: int) -> date:
    return (datetime.now(UTC) - timedelta(days=days)).date()


def logs(project: Project) -> Path:
    return project.state / "logs"
