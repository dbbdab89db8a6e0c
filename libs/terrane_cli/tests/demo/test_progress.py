"""Where there is no terminal, each change of a stage is a line."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from terrane_cli.demo.progress import Line, Progress
from terrane_cli.demo.stages import State

pytestmark = pytest.mark.unit


def test_a_line_is_told_once_for_each_state() -> None:
    output = io.StringIO()
    with Progress(Console(file=output, width=120)) as progress:
        for state in (State.WAITING, State.RUNNING, State.RUNNING):
            progress.show([Line("load", "spatial", "data_lake/places", state)])
        progress.show([Line("load", "spatial", "data_lake/places", State.DONE, rows=243, seconds=1.25)])
    assert [line.split() for line in output.getvalue().splitlines()] == [
        ["◐", "spatial", "load", "running"],
        ["✔", "spatial", "load", "done", "243", "rows", "1.2", "s"],
    ]


def test_on_a_terminal_the_table_shows_the_step_at_work() -> None:
    output = io.StringIO()
    with Progress(Console(file=output, width=140, force_terminal=True)) as progress:
        progress.show([Line("load a batch", "spatial", "data_lake/places", State.RUNNING, detail="transform")])
    assert "running transform" in output.getvalue()
