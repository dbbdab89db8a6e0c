"""The commands of the platform on this machine."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
from functools import partial
from typing import Annotated

import typer

from terrane_cli.commands import CliError, say
from terrane_cli.console import console
from terrane_cli.locations.cli import complete_location
from terrane_cli.project import Project, program
from terrane_dev.servers.process import ServerFailed

app = typer.Typer()
command = partial(app.command, rich_help_panel="On this machine")
WORDS = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the table; the platform keeps running.")] = False,
) -> None:
    """Run the whole platform on real input, and show it."""
    from terrane_cli.demo.demo import run
    from terrane_cli.laptop.platform import Platform

    platform = Platform(Project.here())
    try:
        run(platform)
        if not once:
            console.print("Running until Ctrl-C.")
            signal.pause()
    except (CliError, ServerFailed):
        console.print("\nWhat was started keeps running; `make down` stops it.")
        raise
    except KeyboardInterrupt:
        console.print("\nStopping")
        platform.down()
        raise typer.Exit(130 if once else 0) from None
    console.print("The platform keeps running; `make down` stops it.")


@command()
def up() -> None:
    """Start the platform."""
    from terrane_cli.laptop.platform import Platform

    platform = Platform(Project.here())
    platform.up(say)
    console.print(f"The UI: {platform.settings.url('webserver')}")


@command()
def down() -> None:
    """Stop what was started."""
    from terrane_cli.laptop.supervisor import Supervisor, only_one

    project = Project.here()
    if project.state.exists():
        with only_one(project.state / "lock"):
            stopped = Supervisor(project.state / "run").stop_all()
        console.print(f"Stopped {', '.join(stopped)}." if stopped else "Nothing was running.")


@command()
def doctor() -> None:
    """Say what is missing, which ports are taken, and the state of every process."""
    from terrane_cli.laptop.doctor import examine

    raise typer.Exit(not examine(Project.here()))


@command()
def env() -> None:
    """Print the platform's variables for a shell, passwords included."""
    from terrane_cli.laptop.settings import Settings

    project = Project.here()
    for name, value in sorted(Settings.load(project).environment(project).items()):
        if os.environ.get(name) != value:
            print(f"export {name}={shlex.quote(value)}")


@command(context_settings=WORDS)
def exec(  # noqa: A001 - it is what people type
    location: Annotated[str, typer.Argument(help="A location, or `workspace`.", autocompletion=complete_location)],
    words: Annotated[list[str], typer.Argument(help="The command and its arguments.")],
) -> None:
    """Run a command in a location's environment: terrane exec spatial dg list defs."""
    from terrane_cli.laptop.settings import Settings
    from terrane_cli.laptop.supervisor import Supervisor

    project = Project.here()
    environments = {project.environment_name(folder): folder for folder in project.environments()}
    if location not in environments:
        raise CliError(f"there is no environment {location}; there are {', '.join(environments)}")
    folder = environments[location]
    settings = Settings.load(project)
    variables = settings.environment(project) | settings.location_environment(project, location)
    if "postgres" not in Supervisor(project.state / "run").running():
        print("The platform is not running, so its Dagster instance is left out; `make up` starts it.", file=sys.stderr)
        del variables["DAGSTER_HOME"]
    variables["PATH"] = f"{folder / '.venv/bin'}{os.pathsep}{variables['PATH']}"
    variables["VIRTUAL_ENV"] = str(folder / ".venv")
    os.chdir(folder)
    if found := shutil.which(words[0], path=variables["PATH"]):
        os.execve(found, words, variables)  # noqa: S606 - it becomes what the caller typed
    console.print(
        f"{words[0]} is no command of {program(folder, '')} nor of PATH; "
        "what developers use (dg, pytest) is installed by `make check`, `make test` and `make lint`"
    )
    raise typer.Exit(127)


@command()
def clean() -> None:
    """Remove .terrane: databases, buckets, logs, passwords."""
    state = Project.here().state
    for folder in (state / "postgres", state / "redis"):
        if folder.is_symlink():
            shutil.rmtree(folder.resolve(), ignore_errors=True)
    if state.exists():
        shutil.rmtree(state)
    console.print(f"Removed {state}.")
