"""What is missing, which ports are taken, and the state of every process, as tables."""

from __future__ import annotations

import time

from rich.console import Console
from rich.table import Table

from terrane_cli.laptop.platform import Platform
from terrane_cli.laptop.settings import logs
from terrane_cli.laptop.supervisor import Record
from terrane_cli.setup.environments import is_current, uv_there_is
from terrane_cli.setup.system import requirements
from terrane_dev.servers.process import port_is_free, tail


def examine(platform: Platform, console: Console) -> bool:
    """Prints the tables; returns whether nothing is missing."""
    healthy = _show_requirements(platform, console)
    _show_processes(platform, console)
    return healthy


def _show_requirements(platform: Platform, console: Console) -> bool:
    table = Table("needed", "state", "detail", title="This machine", title_justify="left", title_style="bold")
    healthy = True
    uv = uv_there_is(platform.project)
    for requirement in requirements(str(uv) if uv else None):
        found = requirement.found is not None
        healthy &= found
        table.add_row(requirement.name, *_verdict(found, requirement.found or "missing: `make setup` installs it"))
    for folder in platform.project.environments():
        current = is_current(platform.project, folder)
        healthy &= current
        name = "workspace" if folder == platform.project.root else folder.name
        table.add_row(
            f"environment {name}",
            *_verdict(current, str(folder / ".venv") if current else "`make setup` makes it anew"),
        )
    console.print(table)
    return healthy


def _verdict(good: bool, detail: str) -> tuple[str, str]:
    return ("[green]✔ there[/]" if good else "[red]✘ missing[/]"), detail


def _show_processes(platform: Platform, console: Console) -> None:
    table = Table(
        "process",
        "port",
        "state",
        "pid",
        "memory",
        "since",
        "log",
        title="Processes",
        title_justify="left",
        title_style="bold",
    )
    records = {r.name: r for r in platform.supervisor.records()}
    for name in [*platform.settings.ports, "daemon"]:
        table.add_row(name, *_process(platform, name, records.get(name)))
    console.print(table)


def _process(platform: Platform, name: str, record: Record | None) -> tuple[str, ...]:
    port = platform.settings.ports.get(name)
    process = record.process() if record else None
    if record and process:
        family = [process, *process.children(recursive=True)]
        memory = sum(member.memory_info().rss for member in family if member.is_running())
        minutes = (time.time() - record.began) / 60
        return (
            str(port or ""),
            "[green]running[/]",
            str(record.pid),
            f"{memory / 2**20:,.0f} MB",
            f"{minutes:.0f} min",
            record.log,
        )
    if record:
        return (
            str(port or ""),
            "[red]ended[/]",
            str(record.pid),
            "",
            "",
            tail(logs(platform.project) / f"{name}.log", 1),
        )
    if port and not port_is_free(port):
        return str(port), "[yellow]port taken by somebody else[/]", "", "", "", "`make up` takes another"
    return str(port or ""), "[dim]not started[/]", "", "", "", ""
