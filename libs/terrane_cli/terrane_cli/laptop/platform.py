"""The platform's processes on this machine: what they are, in which order they start, and when they are ready."""

from __future__ import annotations

import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from terrane import names
from terrane_cli.dagster_api import DagsterApi
from terrane_cli.laptop.instance import write_instance
from terrane_cli.laptop.settings import Settings, databases, logs
from terrane_cli.laptop.supervisor import Supervisor, only_one
from terrane_cli.locations.description import read_locations
from terrane_cli.project import Project, program
from terrane_dev.servers import postgres, redis
from terrane_dev.servers.accounts import Account, server_account, server_folder
from terrane_dev.servers.process import ServerFailed, start, wait_until

READY_TIMEOUT_S = 180


@dataclass(frozen=True)
class Service:
    """A process to start: its command, and how to see that it answers."""

    name: str
    command: list[str]
    ready: Callable[[], bool]
    folder: Path | None = None
    account: Account | None = None
    stdin: str | None = None
    environment: dict[str, str] | None = field(default=None, repr=False)


class Platform:
    """All of Terrane on one machine."""

    def __init__(self, project: Project):
        self.project = project
        self.supervisor = Supervisor(project.state / "run")
        self.settings = Settings.load(project)

    def up(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """Starts what is not running, and returns when all of it answers.

        Raises terrane_dev.servers.process.ServerFailed, with the end of its log, when a process does not come up.
        """
        with only_one(self.project.state / "lock"):
            self._move_ports(tell)
            self._start_all([self._postgres(), self._redis()], tell)
            self._make_databases()
            home = write_instance(self.project, self.settings)
            self._make_dagster_tables(home)
            self._make_buckets()
            self._start_all([self._source()], tell)
            before = set(self.supervisor.running())
            self._start_locations(tell)
            came = set(self.supervisor.running()) - before
            self._start_all([self._webserver(home), self._daemon(home)], tell)
            if came and "webserver" in before:
                # 15 CPU s, so for new servers alone. The daemon reads the workspace again by itself, within a minute.
                self._reload_workspace()

    def forget(self, location: str) -> bool:
        """Stops the code server of a location that was removed, and takes it from the workspace; whether it ran."""
        with only_one(self.project.state / "lock"):
            stopped = self.supervisor.stop(location)
            self.settings.ports.pop(location, None)
            self.settings.save(self.project)
            (logs(self.project) / f"{location}.log").unlink(missing_ok=True)
            if "webserver" in self.supervisor.running():
                write_instance(self.project, self.settings)
                self._reload_workspace()
        return stopped

    def down(self) -> list[str]:
        """Stops what runs; returns the names."""
        with only_one(self.project.state / "lock"):
            return self.supervisor.stop_all()

    def environment(self) -> dict[str, str]:
        return self.settings.environment(self.project)

    def _reload_workspace(self) -> None:
        """Has the webserver read the workspace again, with every location that came or went."""
        DagsterApi(self.settings.url("webserver")).reload_workspace()

    def _move_ports(self, tell: Callable[[str], None]) -> None:
        running = self.supervisor.running()
        for name in self.settings.move_taken_ports(running):
            tell(f"{name}: its port was taken, so it goes to {self.settings.ports[name]}")
        self.settings.save(self.project)

    def _start_all(self, services: list[Service], tell: Callable[[str], None], *, alone: bool = False) -> None:
        """Starts the services side by side, then waits for each.

        Args:
            alone: one that does not come up is told, and the others go on.
        """
        running = self.supervisor.running()
        started = []
        for service in services:
            if service.name in running:
                continue
            log = logs(self.project) / f"{service.name}.log"
            process = start(
                service.command,
                log,
                account=service.account,
                environment=service.environment or self.environment(),
                folder=service.folder or self.project.root,
                stdin=service.stdin,
            )
            self.supervisor.remember(service.name, process.pid, log, self.settings.ports.get(service.name))
            started.append((service, process, log))
        for service, process, log in started:
            try:
                wait_until(service.ready, process, log, service.name, READY_TIMEOUT_S)
            except ServerFailed as problem:
                if not alone:
                    raise
                tell(f"{service.name} is left out: {problem}")
            else:
                tell(f"{service.name} is up")

    def _start_locations(self, tell: Callable[[str], None]) -> None:
        """Starts what is made of locations; one that has no environment, or whose process ends, stops itself alone."""
        services = [*map(self._code_server, self.project.locations), *self._feature_server()]
        installed = [service for service in services if Path(service.command[0]).exists()]
        for service in services:
            if service not in installed:
                tell(f"{service.name} is left out: it has no environment, which `make setup` makes")
        self._start_all(installed, tell, alone=True)

    def _postgres(self) -> Service:
        installation = postgres.find_installation()
        if installation is None:
            raise FileNotFoundError("PostgreSQL is not installed; run `make setup`, which installs what is missing")
        port, password = self.settings.ports["postgres"], self.settings.passwords["postgres"]
        data = postgres.make_cluster(installation, self.project.state / "postgres", password)
        command = postgres.command(installation, data, port)
        ready = lambda: postgres.answers(port, password)  # noqa: E731
        return Service("postgres", command, ready, folder=Path("/"), account=server_account())

    def _redis(self) -> Service:
        found = redis.find_program()
        if found is None:
            raise FileNotFoundError("redis-server is not installed; run `make setup`, which installs what is missing")
        port, password = self.settings.ports["redis"], self.settings.passwords["redis"]
        data = server_folder(self.project.state / "redis")
        configuration = redis.configuration(port, password, data.resolve())
        ready = lambda: redis.answers(port, password)  # noqa: E731
        return Service(
            "redis", redis.command(found), ready, folder=Path("/"), account=server_account(), stdin=configuration
        )

    def _make_databases(self) -> None:
        port, password = self.settings.ports["postgres"], self.settings.passwords["postgres"]
        for role, owned in databases().items():
            postgres.ensure_role(port, password, role, self.settings.passwords[role])
            for database, extensions in owned.items():
                postgres.ensure_database(port, password, database, role, extensions)

    def _make_dagster_tables(self, home: Path) -> None:
        """Makes Dagster's tables once, before several processes would do it at the same time."""
        port, password = self.settings.ports["postgres"], self.settings.passwords["postgres"]
        with postgres.administer(port, password, self.environment()["DAGSTER_POSTGRES_DB"]) as connection:
            if connection.execute("select to_regclass('public.runs')").fetchone() != (None,):
                return
        command = [str(program(self.project.root, "dagster")), "instance", "migrate"]
        done = subprocess.run(command, env=self.environment(), cwd=home, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"Dagster could not make its tables: {done.stderr.strip()[-2000:]}")

    def _make_buckets(self) -> None:
        for name in map(names.current().bucket, names.BUCKETS):
            (self.project.state / "objects" / name).mkdir(parents=True, exist_ok=True)

    def _source(self) -> Service:
        port = self.settings.ports["source"]
        arguments = ["-m", "source_api", "--port", str(port), "--first-day", self.settings.first_day]
        command = [str(program(self.project.root, "python")), *arguments]
        return Service("source", command, lambda: answers_http(port, "/health"), folder=self.project.root / "samples")

    def _code_server(self, location: str) -> Service:
        port, folder = self.settings.ports[location], self.project.location_folder(location)
        arguments = ["code-server", "start", "--host", "127.0.0.1", "--port", str(port)]
        definitions = ["--module-name", f"{location}.definitions", "--location-name", location]
        command = [str(program(folder, "dagster")), *arguments, *definitions]
        return Service(location, command, lambda: answers_grpc(port), folder=folder)

    def _feature_server(self) -> list[Service]:
        """Of the location whose location.yaml says so; none where none does."""
        serving = [name for name, location in read_locations(self.project)[0].items() if location.feature_server]
        if not serving:
            return []
        port, folder = self.settings.ports["feature-server"], self.project.location_folder(serving[0])
        command = [
            str(program(folder, "python")),
            "-m",
            "terrane_features.server",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        return [Service("feature-server", command, lambda: answers_http(port, "/health"), folder=folder)]

    def _webserver(self, home: Path) -> Service:
        port = self.settings.ports["webserver"]
        arguments = ["-h", "127.0.0.1", "-p", str(port), "-w", str(home / "workspace.yaml")]
        command = [str(program(self.project.root, "dagster-webserver")), *arguments]
        return Service("webserver", command, lambda: answers_http(port, "/server_info"), folder=home)

    def _daemon(self, home: Path) -> Service:
        command = [str(program(self.project.root, "dagster-daemon")), "run", "-w", str(home / "workspace.yaml")]
        return Service("daemon", command, lambda: True, folder=home)


def answers_grpc(port: int) -> bool:
    """Whether a code server on the port calls itself serving."""
    import grpc
    from grpc_health.v1.health_pb2 import HealthCheckRequest
    from grpc_health.v1.health_pb2_grpc import HealthStub

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            stub: Any = HealthStub(channel)
            answer = stub.Check(HealthCheckRequest(service="DagsterApi"), timeout=2)
        except grpc.RpcError:
            return False
    return answer.status == answer.SERVING


def answers_http(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False
