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
    folder: Path = Path("/")
    account: Account | None = None
    stdin: str | None = field(default=None, repr=False)


class Services:
    """The processes of one platform."""

    def __init__(self, project: Project, settings: Settings, home: Path):
        """`home` has dagster.yaml and workspace.yaml."""
        self.project, self.settings, self.home = project, settings, home
        self.ports = {name: str(port) for name, port in settings.ports.items()}

    def stores(self) -> list[Service]:
        """Postgres and Redis. Raises CliError where one of them is not installed."""
        installation, redis_server = postgres.find_installation(), redis.find_program()
        if installation is None or redis_server is None:
            missing = "PostgreSQL" if installation is None else "redis-server"
            raise CliError(f"{missing} is not installed; run `make setup`, which installs what is missing")
        return [self._postgres(installation), self._redis(redis_server)]

    def source(self) -> Service:
        arguments = ["-m", "source_api", "--port", self.ports["source"], "--first-day", self.settings.first_day]
        command = [str(program(self.project.root, "python")), *arguments]
        return self._http("source", command, "/health", self.project.root / "samples")

    def of_locations(self) -> list[Service]:
        """A code server for each, and the feature server of the location whose location.yaml says so."""
        serving = [name for name, location in read_locations(self.project)[0].items() if location.feature_server]
        return [*map(self._code_server, self.project.locations), *map(self._feature_server, serving[:1])]

    def dagster(self) -> list[Service]:
        """The webserver and the daemon."""
        workspace = ["-w", str(self.home / "workspace.yaml")]
        webserver, daemon = (str(program(self.project.root, f"dagster-{name}")) for name in ("webserver", "daemon"))
        serving = [webserver, "-h", LOOPBACK, "-p", self.ports["webserver"], *workspace]
        return [
            self._http("webserver", serving, "/server_info", self.home),
            Service("daemon", [daemon, "run", *workspace], lambda: True, self.home),
        ]

    def _postgres(self, installation: postgres.Installation) -> Service:
        port, password = self.settings.ports["postgres"], self.settings.passwords["postgres"]
        data = postgres.make_cluster(installation, self.project.state / "postgres", password)
        command = postgres.command(installation, data, port)
        return Service("postgres", command, lambda: postgres.answers(port, password), account=server_account())

    def _redis(self, server: str) -> Service:
        port, password = self.settings.ports["redis"], self.settings.passwords["redis"]
        configuration = redis.configuration(port, password, server_folder(self.project.state / "redis").resolve())
        answers, command = lambda: redis.answers(port, password), redis.command(server)
        return Service("redis", command, answers, account=server_account(), stdin=configuration)

    def _code_server(self, location: str) -> Service:
        folder, port = self.project.location_folder(location), self.settings.ports[location]
        where = ["--host", LOOPBACK, "--port", str(port), "--location-name", location]
        command = [str(program(folder, "dagster")), "code-server", "start", *where, "-m", f"{location}.definitions"]
        return Service(location, command, lambda: answers_grpc(port), folder)

    def _feature_server(self, location: str) -> Service:
        folder = self.project.location_folder(location)
        where = ["--host", LOOPBACK, "--port", self.ports["feature-server"]]
        command = [str(program(folder, "python")), "-m", "terrane_features.server", *where]
        return self._http("feature-server", command, "/health", folder)

    def _http(self, name: str, command: list[str], path: str, folder: Path) -> Service:
        url = f"{self.settings.url(name)}{path}"
        return Service(name, command, lambda: answers_http(url), folder)


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
