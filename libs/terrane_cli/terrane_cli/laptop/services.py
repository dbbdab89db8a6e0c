"""Each process of the platform: its command, and how to see that it answers."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from terrane_cli.commands import CliError
from terrane_cli.laptop.settings import Settings
from terrane_cli.locations.description import read_locations
from terrane_cli.project import Project, program
from terrane_dev.servers import postgres, redis
from terrane_dev.servers.accounts import Account, server_account, server_folder

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Service:
    """A process to start: its command, and how to see that it answers."""

    name: str
    command: list[str]
    ready: Callable[[], bool]
    folder: Path | None = None
    account: Account | None = None
    stdin: str | None = field(default=None, repr=False)


class Services:
    """The processes of one platform."""

    def __init__(self, project: Project, settings: Settings, home: Path):
        """`home` has dagster.yaml and workspace.yaml."""
        self.project, self.settings, self.home = project, settings, home

    def stores(self) -> list[Service]:
        """Postgres and Redis. Raises CliError where one of them is not installed."""
        installation, redis_server = postgres.find_installation(), redis.find_program()
        if installation is None or redis_server is None:
            missing = "PostgreSQL" if installation is None else "redis-server"
            raise CliError(f"{missing} is not installed; run `make setup`, which installs what is missing")
        (port, password), (redis_port, redis_password) = map(self._account, ("postgres", "redis"))
        data = postgres.make_cluster(installation, self.project.state / "postgres", password)
        redis_data = server_folder(self.project.state / "redis")
        place: dict[str, Any] = {"folder": Path("/"), "account": server_account()}
        configuration = redis.configuration(redis_port, redis_password, redis_data.resolve())
        return [
            Service(
                "postgres",
                postgres.command(installation, data, port),
                lambda: postgres.answers(port, password),
                **place,
            ),
            Service(
                "redis",
                redis.command(redis_server),
                lambda: redis.answers(redis_port, redis_password),
                **place,
                stdin=configuration,
            ),
        ]

    def source(self) -> Service:
        arguments = ["-m", "source_api", "--port", self._port("source"), "--first-day", self.settings.first_day]
        return self._http("source", self.project.root, "python", arguments, "/health", self.project.root / "samples")

    def of_locations(self) -> list[Service]:
        """A code server for each, and the feature server of the location whose location.yaml says so."""
        serving = [name for name, location in read_locations(self.project)[0].items() if location.feature_server]
        return [*map(self._code_server, self.project.locations), *map(self._feature_server, serving[:1])]

    def dagster(self) -> list[Service]:
        """The webserver and the daemon."""
        root, workspace = self.project.root, ["-w", str(self.home / "workspace.yaml")]
        arguments = ["-h", LOOPBACK, "-p", self._port("webserver"), *workspace]
        daemon = [str(program(root, "dagster-daemon")), "run", *workspace]
        return [
            self._http("webserver", root, "dagster-webserver", arguments, "/server_info", self.home),
            Service("daemon", daemon, lambda: True, folder=self.home),
        ]

    def _code_server(self, location: str) -> Service:
        folder, port = self.project.location_folder(location), self.settings.ports[location]
        where = ["--host", LOOPBACK, "--port", str(port), "--location-name", location]
        command = [str(program(folder, "dagster")), "code-server", "start", *where, "-m", f"{location}.definitions"]
        return Service(location, command, lambda: answers_grpc(port), folder=folder)

    def _feature_server(self, location: str) -> Service:
        arguments = ["-m", "terrane_features.server", "--host", LOOPBACK, "--port", self._port("feature-server")]
        folder = self.project.location_folder(location)
        return self._http("feature-server", folder, "python", arguments, "/health", folder)

    def _http(
        self, name: str, environment: Path, command: str, arguments: list[str], path: str, folder: Path
    ) -> Service:
        url = f"{self.settings.url(name)}{path}"
        words = [str(program(environment, command)), *arguments]
        return Service(name, words, lambda: answers_http(url), folder=folder)

    def _port(self, name: str) -> str:
        return str(self.settings.ports[name])

    def _account(self, store: str) -> tuple[int, str]:
        return self.settings.ports[store], self.settings.passwords[store]


def answers_grpc(port: int) -> bool:
    """Whether a code server on the port calls itself serving."""
    import grpc
    from grpc_health.v1.health_pb2 import HealthCheckRequest
    from grpc_health.v1.health_pb2_grpc import HealthStub

    with grpc.insecure_channel(f"{LOOPBACK}:{port}") as channel:
        try:
            stub: Any = HealthStub(channel)
            answer = stub.Check(HealthCheckRequest(service="DagsterApi"), timeout=2)
        except grpc.RpcError:
            return False
    return answer.status == answer.SERVING


def answers_http(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - ours, of loopback
            return response.status == 200
    except OSError:
        return False
