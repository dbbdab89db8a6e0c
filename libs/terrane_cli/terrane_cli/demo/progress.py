"""What the demo shows: a table that changes in place on a terminal, or a line a change where there is none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.table import Table

from terrane_cli.demo.stages import State

STYLE = {
    State.WAITING: ("dim", "·"),
    State.QUEUED: ("yellow", "○"),
    State.RUNNING: ("bold cyan", "◐"),
    State.DONE: ("green", "✔"),
    State.FAILED: ("bold red", "✘"),
}


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


class Progress(Live):
    """Shows lines while they change; a context manager."""

    def __init__(self, console: Console):
        # Where there is no terminal, rich shows at the end what changed in place.
        super().__init__(console=console, refresh_per_second=8, auto_refresh=console.is_terminal)
        self._told: dict[str, State] = {}

    def show(self, lines: Iterable[Line]) -> None:
        lines = list(lines)
        if self.console.is_terminal:
            self.update(_table(lines))
            return
        for line in lines:
            if self._told.get(line.asset) != line.state and line.state != State.WAITING:
                self._told[line.asset] = line.state
                self.console.print(_text(line))


def _text(line: Line) -> str:
    rows = f"{line.rows:,} rows  " if line.rows is not None else ""
    seconds = f"{line.seconds:.1f} s" if line.seconds is not None else ""
    mark = STYLE[line.state][1]
    return f"{mark} {line.location:<10} {line.title:<34} {line.state.value:<8} {rows}{seconds}".rstrip()


def _table(lines: list[Line]) -> Table:
    table = Table("", "location", "stage", "asset", "state", box=None, pad_edge=False)
    for figures in ("rows", "seconds"):
        table.add_column(figures, justify="right")
    for line in lines:
        style, mark = STYLE[line.state]
        rows = f"{line.rows:,}" if line.rows is not None else ""
        seconds = f"{line.seconds:.1f}" if line.seconds is not None else ""
        state = f"[{style}]{line.state.value} {line.detail}[/]"
        table.add_row(f"[{style}]{mark}[/]", line.location, line.title, f"[dim]{line.asset}[/]", state, rows, seconds)
    return table
