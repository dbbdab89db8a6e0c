"""What the demo shows: a table that changes in place on a terminal, or a line a change where there is none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.table import Table

from terrane_cli.demo.stages import State

STYLE = {
    State.WAITING: "dim",
    State.QUEUED: "yellow",
    State.RUNNING: "bold cyan",
    State.DONE: "green",
    State.FAILED: "bold red",
}
MARK = {State.WAITING: "·", State.QUEUED: "○", State.RUNNING: "◐", State.DONE: "✔", State.FAILED: "✘"}


@dataclass(frozen=True)
class Line:
    """A stage as it stands: rows and seconds are None while nobody knows them."""

    title: str
    location: str
    asset: str
    state: State
    detail: str = ""
    rows: int | None = None
    seconds: float | None = None


class Progress:
    """Shows lines while they change; a context manager."""

    def __init__(self, console: Console):
        self.console = console
        self._live = Live(console=console, refresh_per_second=8, transient=False) if console.is_terminal else None
        self._told: dict[str, State] = {}

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, lines: Iterable[Line]) -> None:
        lines = list(lines)
        if self._live:
            self._live.update(_table(lines))
            return
        for line in lines:
            if self._told.get(line.asset) != line.state and line.state != State.WAITING:
                self._told[line.asset] = line.state
                figures = "  ".join(f for f in (_rows(line.rows), _seconds(line.seconds)) if f)
                text = f"{MARK[line.state]} {line.location:<10} {line.title:<34} {line.state.value:<8} {figures}"
                self.console.print(text.rstrip(), highlight=False)


def _table(lines: list[Line]) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("location", style="dim")
    table.add_column("stage")
    table.add_column("asset", style="dim")
    table.add_column("state")
    table.add_column("rows", justify="right")
    table.add_column("seconds", justify="right")
    for line in lines:
        style = STYLE[line.state]
        state = f"{line.state.value} {line.detail}".strip()
        table.add_row(
            f"[{style}]{MARK[line.state]}[/]",
            line.location,
            line.title,
            line.asset,
            f"[{style}]{state}[/]",
            _number(line.rows),
            f"{line.seconds:.1f}" if line.seconds is not None else "",
        )
    return table


def _number(rows: int | None) -> str:
    return f"{rows:,}" if rows is not None else ""


def _rows(rows: int | None) -> str:
    return f"{rows:,} rows" if rows is not None else ""


def _seconds(seconds: float | None) -> str:
    return f"{seconds:.1f} s" if seconds is not None else ""
