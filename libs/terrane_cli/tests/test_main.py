"""Every command says what it does in a terminal of 80 columns, starts without Dagster, and fails in words."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from terrane_cli.main import app, main

pytestmark = pytest.mark.unit

# Each would cost 0.1 s to 1.5 s.
HEAVY = {"dagster", "gql", "httpx", "kubernetes", "obstore", "psycopg", "requests"}


def _commands(command: Any, *words: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, *words, name)


COMMANDS = dict(_commands(typer.main.get_command(app)))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_explains_the_command_and_all_it_takes_within_80_columns(words: tuple[str, ...]) -> None:
    command = COMMANDS[words]
    assert command.help
    assert [p.name for p in command.params if not p.help and p.name != "help"] == []
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    assert shown.exit_code == 0
    assert max(map(len, shown.output.splitlines())) <= 80
    assert [p.opts[0] for p in command.params if p.opts[0] not in shown.output] == []


@pytest.mark.parametrize(
    ("started", "heavy"), [("terrane_cli.main", HEAVY | {"pydantic", "yaml"}), ("terrane_cli.laptop.doctor", HEAVY)]
)
def test_completion_and_doctor_import_nothing_heavy(started: str, heavy: set[str]) -> None:
    code = f"import sys, {started}; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_what_a_person_has_to_see_to_is_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["terrane", "exec", "sea[red]", "true"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "It failed. there is no environment sea[red]; there are workspace, " in capsys.readouterr().out
