"""The commands of developers: tests, checks and locks."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from terrane_cli.commands import CliError, say
from terrane_cli.project import Project

app = typer.Typer()
command = partial(app.command, rich_help_panel="Development")
WORDS = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@command()
def check() -> None:
    """Load every location's definitions in its own environment."""
    from terrane_cli.checks.code import check_definitions

    raise typer.Exit(not check_definitions(Project.here()))


@command()
def types() -> None:
    """Check types, each location's in its own environment."""
    from terrane_cli.checks.code import check_types

    raise typer.Exit(not check_types(Project.here()))


@command()
def dependencies() -> None:
    """Check that what the workspace, libraries and locations import is declared."""
    from terrane_cli.checks.code import check_dependencies

    raise typer.Exit(not check_dependencies(Project.here()))


@command(context_settings=WORDS)
def test(words: Annotated[list[str] | None, typer.Argument(help="Arguments for pytest.")] = None) -> None:  # noqa: PT028 - a command
    """Run every test."""
    from terrane_cli.checks.suites import run_tests

    raise typer.Exit(not run_tests(Project.here(), words or []))


@command()
def lock(upgrade: Annotated[bool, typer.Option("--upgrade", help="Take the newest versions allowed.")] = False) -> None:
    """Compile every requirements.lock and requirements-dev.lock."""
    from terrane_cli.setup.locks import compile_lock

    project, failed = Project.here(), []
    for folder in project.environments():
        name = project.environment_name(folder)
        try:
            compile_lock(project, folder, upgrade=upgrade)
            say(f"{name}: locked")
        except CliError as problem:
            failed.append(f"{name}: not locked. {problem}")
    if failed:
        raise CliError("\n".join(failed))
