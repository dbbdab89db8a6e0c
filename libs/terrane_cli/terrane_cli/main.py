"""The `terrane` command: what `make` calls, and what can be typed by hand. Each room has the commands of its family."""

from __future__ import annotations

import sys

import typer
from rich.text import Text

import terrane_cli.checks.cli
import terrane_cli.cluster.cli
import terrane_cli.data.cli
import terrane_cli.laptop.cli
import terrane_cli.locations.cli
from terrane_cli.commands import CliError
from terrane_cli.console import console
from terrane_dev.servers.process import ServerFailed

app = typer.Typer(
    name="terrane",
    help="Run Terrane on this machine or on a local cluster, and develop its locations.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for room in (terrane_cli.laptop.cli, terrane_cli.data.cli, terrane_cli.locations.cli, terrane_cli.checks.cli):
    app.add_typer(room.app)
app.add_typer(terrane_cli.cluster.cli.app, name="cluster", rich_help_panel="On a cluster")


def main() -> None:
    """Runs the command; what a person has to see to becomes a message and exit code 1."""
    try:
        app(prog_name="terrane")
    except (CliError, ServerFailed) as problem:
        console.print("[bold red]It failed.[/]", Text(str(problem)))
        sys.exit(1)
