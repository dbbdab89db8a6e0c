"""The commands on data: `terrane forget`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from terrane_cli.console import console
from terrane_cli.project import Project

if TYPE_CHECKING:
    from terrane_cli.dagster_api import DagsterApi

app = typer.Typer()
command = partial(app.command, rich_help_panel="Data")


@command()
def forget(
    kind: Annotated[str, typer.Argument(help="What is forgotten, as users.")],
    identifier: Annotated[str, typer.Argument(help="Whom, by the id that the source gave.")],
    cluster: Annotated[bool, typer.Option("--cluster", help="On the cluster that kubectl reaches.")] = False,
) -> None:
    """Forget a person in every store: warehouse, lake and online features; say what that can't reach."""
    from terrane_cli.data.forgetting import NOT_REACHED, forget

    with _dagster(cluster) as api:
        for line in forget(api, kind, identifier):
            console.print(line, highlight=False)
    console.print(NOT_REACHED, highlight=False)


@contextmanager
def _dagster(cluster: bool) -> Iterator[DagsterApi]:
    from terrane_cli.dagster_api import DagsterApi

    if cluster:
        from terrane_cli.cluster.access import webserver

        with webserver() as api:
            yield api
    else:
        from terrane_cli.laptop.settings import Settings

        yield DagsterApi(Settings.load(Project.here()).url("webserver"))
