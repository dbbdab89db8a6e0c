"""All of Terrane on one machine: what is started, in which order, and when it is ready."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from terrane import names
from terrane_cli.commands import CliError, run
from terrane_cli.laptop.changes import Loaded, digest
from terrane_cli.laptop.instance import write_instance
from terrane_cli.laptop.ports import reserved, strangers
from terrane_cli.laptop.services import Service, Services
from terrane_cli.laptop.settings import Settings, databases, logs
from terrane_cli.laptop.supervisor import Supervisor, only_one
from terrane_cli.locations.description import read_locations
from terrane_cli.project import Project, program
from terrane_dev.servers import postgres
from terrane_dev.servers.process import ServerFailed, start, wait_until

READY_TIMEOUT_S = 180
Tell = Callable[[str], None]


class Platform:
    """All of Terrane on one machine."""

    def __init__(self, project: Project):
        self.project = project
        self.supervisor = Supervisor(project.state / "run")
        self.settings = Settings.load(project)
        self.loaded = Loaded(project)

    def up(self, tell: Tell = lambda _: None) -> None:
        """Starts what is not running, has what changed loaded again, and returns when all of it answers.

        Of a platform that runs, code servers of locations that are new start, those of locations that changed load them
        again, those of locations that are no more end, and nothing else is touched.

        Raises terrane_dev.servers.process.ServerFailed, with the end of its log, when a process does not come up.
        """
        with only_one(self.project.state / "lock"):
            removed = self._forget_removed()
            for name in removed:
                tell(f"{name} is no location any more, and forgotten")
            with reserved(lambda chosen: self._move_ports(tell, chosen)):
                self._start(removed, tell)

    def forget_removed(self) -> list[str]:
        """Stops code servers of locations that were removed, and takes them from the workspace; returns the names."""
        with only_one(self.project.state / "lock"):
            removed = self._forget_removed()
            if removed and "webserver" in self.supervisor.running():
                write_instance(self.project, self.settings)
                self._reload_workspace()
        return removed

    def down(self) -> list[str]:
        """Stops what runs; returns the names."""
        with only_one(self.project.state / "lock"):
            return self.supervisor.stop_all()

    def _forget_removed(self) -> list[str]:
        removed = self.settings.removed(self.project)
        for name in removed:
            self.supervisor.stop(name)
            self.settings.forget(name)
            (logs(self.project) / f"{name}.log").unlink(missing_ok=True)
            self.loaded.forget(name)
        if removed:
            self.settings.save(self.project)
            locations, wrong = read_locations(self.project)
            if not wrong and not any(location.feature_server for location in locations.values()):
                self.supervisor.stop("feature-server")
        return removed

    def _start(self, removed: list[str], tell: Tell) -> None:
        """Starts what is not running on the ports that are reserved, and has what changed loaded again."""
        services = Services(self.project, self.settings, write_instance(self.project, self.settings))
        self._start_all(services.stores(), tell)
        self._make_databases()
        self._make_dagster_tables(services.home)
        self._make_buckets()
        self._start_all([services.source()], tell)
        before = set(self.supervisor.running())
        changed = {n: digest(self.project, n) for n in self.project.locations if self.loaded.is_changed(n)}
        self._start_locations(services.of_locations(), tell)
        came = set(self.supervisor.running()) - before
        self._start_all(services.dagster(), tell)
        if (came or removed) and "webserver" in before:
            # 15 CPU s, so where the list of servers changed alone. The daemon reads the workspace again by itself,
            # within a minute.
            self._reload_workspace()
        for name in sorted(changed.keys() & before):
            self._reload_location(name, changed[name], tell)

    def _reload_workspace(self) -> None:
        """Has the webserver read the workspace again, with every location that came or went."""
        from terrane_cli.dagster_api import DagsterApi

        DagsterApi(self.settings.url("webserver")).reload_workspace()

    def _reload_location(self, name: str, as_it_is: str, tell: Tell) -> None:
        """Has the location's code server load what changed; one that does not load goes on with what it has."""
        from terrane_cli.dagster_api import DagsterApi

        try:
            DagsterApi(self.settings.url("webserver")).reload_location(name)
        except CliError as problem:
            tell(f"{name} changed and stays as it was: {problem}")
        else:
            self.loaded.keep(name, as_it_is)
            tell(f"{name} changed, and is loaded again")

    def _move_ports(self, tell: Tell, chosen: Collection[int]) -> Iterable[int]:
        """Gives what is not running a port that nobody has, and has chosen; returns the ports of all."""
        for name in self.settings.move_taken_ports(self.supervisor.running(), chosen):
            tell(f"{name}: its port was taken, so it goes to {self.settings.ports[name]}")
        self.settings.save(self.project)
        return self.settings.ports.values()

    def _require_port(self, service: Service, pid: int) -> None:
        """Raises ServerFailed, and stops the process, when another listens on its port: that one may have answered."""
        port = self.settings.ports.get(service.name)
        others = strangers(port, pid) if port else set()
        if others:
            self.supervisor.stop(service.name)
            known = ", ".join(f"process {other}" for other in others if other) or "a process of another user"
            raise ServerFailed(f"{service.name} lost its port {port} to {known}; start again, and it gets another")

    def _start_all(self, services: list[Service], tell: Tell, *, alone: bool = False) -> None:
        """Starts the services side by side, then waits for each.

        Args:
            alone: one that does not come up is told, and the others go on.
        """
        running = self.supervisor.running()
        environment = self.settings.environment(self.project)
        started = []
        for service in services:
            if service.name in running:
                continue
            log = logs(self.project) / f"{service.name}.log"
            process = start(
                service.command,
                log,
                account=service.account,
                environment=environment | self.settings.location_environment(self.project, service.name),
                folder=service.folder,
                stdin=service.stdin,
            )
            self.supervisor.remember(service.name, process.pid, log, self.settings.ports.get(service.name))
            started.append((service, process, log))
        for service, process, log in started:
            try:
                wait_until(service.ready, process, log, service.name, READY_TIMEOUT_S)
                self._require_port(service, process.pid)
            except ServerFailed as problem:
                if not alone:
                    raise
                tell(f"{service.name} is left out: {problem}")
            else:
                tell(f"{service.name} is up")

    def _start_locations(self, services: list[Service], tell: Tell) -> None:
        """Starts what is made of locations; one that has no environment, or whose process ends, stops itself alone."""
        installed = [service for service in services if Path(service.command[0]).exists()]
        for name in set(self.project.locations) - self.supervisor.running().keys():
            self.loaded.keep(name, digest(self.project, name))
        for service in services:
            if service not in installed:
                tell(f"{service.name} is left out: it has no environment, which `make setup` makes")
        self._start_all(installed, tell, alone=True)

    def _make_databases(self) -> None:
        port, password = self.settings.ports["postgres"], self.settings.passwords["postgres"]
        for role, owned in databases(self.project).items():
            postgres.ensure_role(port, password, role, self.settings.passwords[role])
            for database, extensions in owned.items():
                postgres.ensure_database(port, password, database, role, extensions)

    def _make_dagster_tables(self, home: Path) -> None:
        """Makes Dagster's tables once, before several processes would do it at the same time."""
        port, password = self.settings.ports["postgres"], self.settings.passwords["postgres"]
        variables = self.settings.environment(self.project)
        with postgres.administer(port, password, variables["DAGSTER_POSTGRES_DB"]) as connection:
            if connection.execute("select to_regclass('public.runs')").fetchone() != (None,):
                return
        migrate = [program(self.project.root, "dagster"), "instance", "migrate"]
        run(migrate, environment=variables, folder=home)

    def _make_buckets(self) -> None:
        for name in map(names.current().bucket, names.BUCKETS):
            (self.project.state / "objects" / name).mkdir(parents=True, exist_ok=True)
