"""The commands of locations: making one, removing one, and writing what follows from them."""

from __future__ import annotations

import time
from functools import partial
from typing import Annotated

import typer

from terrane_cli.commands import say
from terrane_cli.console import console
from terrane_cli.locations.words import Kind
from terrane_cli.project import Project

app = typer.Typer()
command = partial(app.command, rich_help_panel="Locations")


def complete_location(incomplete: str) -> list[str]:
    """The locations that begin so, for the shell."""
    return [name for name in Project.here().locations if name.startswith(incomplete)]


Name = Annotated[str, typer.Argument(help="The location's name.", autocompletion=complete_location)]


@command()
def location(
    name: Annotated[str, typer.Argument(help="The new location's name.")],
    kind: Annotated[Kind, typer.Option(help="What makes it.")] = Kind.PLAIN,
) -> None:
    """Make a location."""
    from terrane_cli.locations.making import make

    project, began = Project.here(), time.monotonic()
    made = make(project, name, kind, say)
    for file in made.written:
        say(f"written: {file}")
    told = f"{made.folder.relative_to(project.root)} is made, in {time.monotonic() - began:.0f} s."
    console.print(f"{told} `make up` starts its code server, on a platform that runs as well.")


@command()
def location_remove(name: Name) -> None:
    """Remove a location and all that follows from it, and stop its code server."""
    from terrane_cli.locations.making import remove

    project = Project.here()
    for file in remove(project, name):
        say(f"written: {file}")
    _forget_removed(project)
    console.print(f"{name} is removed.")


@command()
def locations(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail where there would be something.")] = False,
) -> None:
    """Write what follows from every location.yaml elsewhere, and stop what runs of locations that are gone."""
    from terrane_cli.locations import generate

    project = Project.here()
    changed = generate.outdated(project) if check else generate.write(project)
    what = "to be written" if check else "written"
    console.print("\n".join(f"{what}: {file}" for file in changed) or "Nothing has changed.")
    if not check:
        _forget_removed(project)
    raise typer.Exit(check and bool(changed))


def _forget_removed(project: Project) -> None:
    """Of a platform of this machine's, stops what runs of locations that are no more."""
    if project.state.exists():
        from terrane_cli.laptop.platform import Platform

        for name in Platform(project).forget_removed():
            say(f"{name}: its code server is stopped, and its place on this machine's platform free")
