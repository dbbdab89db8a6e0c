"""What is missing, which ports are taken, and the state of every process, as tables."""

from __future__ import annotations

import time
from pathlib import Path

from terrane_cli import findings
from terrane_cli.console import console, titled_table
from terrane_cli.findings import Finding
from terrane_cli.laptop.settings import Settings
from terrane_cli.laptop.supervisor import Record, Supervisor
from terrane_cli.project import Project
from terrane_cli.setup.environments import is_current, uv_there_is
from terrane_cli.setup.system import requirements
from terrane_dev.servers.process import port_is_free, tail


def examine(project: Project) -> bool:
    """Prints the tables; returns whether nothing is missing."""
    uv = uv_there_is(project)
    environments = [_environment(project, folder) for folder in project.environments()]
    healthy = findings.show("This machine", [*requirements(str(uv) if uv else None), *environments])
    table = titled_table("\nProcesses", "process", "port", "state", "pid", "memory", "since", "log")
    ports = Settings.load(project).ports
    records = {r.name: r for r in Supervisor(project.state / "run").records()}
    for name in [*ports, "daemon"]:
        port = ports.get(name)
        table.add_row(name, str(port or ""), *_process(port, records.get(name), project.state))
    console.print(table)
    return healthy


def _environment(project: Project, folder: Path) -> Finding:
    current = is_current(project, folder)
    detail = str((folder / ".venv").relative_to(project.root)) if current else "`make setup` makes it anew"
    return Finding(f"environment {project.environment_name(folder)}", current, detail)


def _process(port: int | None, record: Record | None, state: Path) -> tuple[str, ...]:
    """State, pid, memory, age and log."""
    if record and (process := record.process()):
        family = [process, *process.children(recursive=True)]
        memory = sum(member.memory_info().rss for member in family if member.is_running()) / 2**20
        age, log = (time.time() - record.began) / 60, Path(record.log)
        shown = log.relative_to(state.parent) if log.is_relative_to(state.parent) else log
        return "[green]running[/]", str(record.pid), f"{memory:,.0f} MB", f"{age:.0f} min", str(shown)
    if record:
        return "[red]ended[/]", str(record.pid), "", "", tail(Path(record.log), 1)
    if port and not port_is_free(port):
        return "[yellow]taken[/]", "", "", "", "somebody else has the port; `make up` takes another"
    return ("[dim]not started[/]",)
