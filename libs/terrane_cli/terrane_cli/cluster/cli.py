"""The commands of `terrane cluster`."""

from __future__ import annotations

import json
import shlex
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from terrane_cli.commands import CliError
from terrane_cli.console import console
from terrane_cli.locations.cli import Name, complete_location
from terrane_cli.project import Project

app = typer.Typer(help="The platform on a local kind cluster, its images and its charts.", no_args_is_help=True)
develop = partial(app.command, rich_help_panel="On a local cluster")
release = partial(app.command, rich_help_panel="For a cluster elsewhere")
# A command of its own comes after the target, with options of its own.
WORDS = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@app.callback()
def prepare() -> None:
    from terrane_cli.cluster.kubernetes import use_named_helm

    use_named_helm()


@develop()
def up(
    once: Annotated[bool, typer.Option("--once", help="End after the table; the cluster keeps running.")] = False,
    profile: Annotated[str, typer.Option(help="One of skaffold.yaml's profiles: celery.")] = "",
) -> None:
    """Make the cluster, build and deploy all of it, run the demo, and follow changes."""
    from terrane_cli import findings
    from terrane_cli.cluster import deploying, preflight

    project = Project.here()
    words = deploying.profile(project, profile)
    if not findings.show("Before the cluster", preflight.examine()):
        raise typer.Exit(1)
    deploying.make_and_deploy(project, words)
    if once:
        console.print("The cluster keeps running; `make cluster-down` deletes it.")
    else:
        deploying.skaffold(project, "dev", "--cleanup=false", *words)


@develop()
def down() -> None:
    """Delete the cluster."""
    from terrane_cli.cluster.kind import delete_cluster

    console.print("The cluster is deleted." if delete_cluster() else "There was no cluster.")


@develop()
def status() -> None:
    """Say of every pod where it belongs and how it is."""
    from terrane_cli.cluster import status

    raise typer.Exit(not status.show())


@develop()
def demo() -> None:
    """Deliver the sample batch and show its features."""
    from terrane_cli.cluster.deploying import run_demo

    run_demo(Project.here())


@develop()
def reload(location: Name) -> None:
    """Have a location's code server load its files again."""
    from terrane_cli.cluster.access import reload_location

    console.print(f"{location}: loaded again in {reload_location(location):.1f} s")


@develop(context_settings=WORDS)
def debug(
    target: Annotated[str, typer.Argument(help="A location, or feature-server.", autocompletion=complete_location)],
    words: Annotated[list[str], typer.Argument(help="The module and its arguments.")],
    port: Annotated[int, typer.Option(help="Of this machine, for the debugger.")] = 5678,
) -> None:
    """Run a module in a location's pod under a debugger: debug spatial dagster --version."""
    from terrane_cli.cluster import debugging

    known = [*Project.here().locations, debugging.FEATURE_SERVER]
    if target not in known:
        raise CliError(f"there is nothing to debug that is called {target}; there are {', '.join(known)}")
    raise typer.Exit(debugging.debug(target, words, port))


@release()
def charts() -> None:
    """Get the charts' dependencies: what plain helm and skaffold want."""
    from terrane_cli.charts.dependencies import ensure_dependencies

    project = Project.here()
    folder, filled = ensure_dependencies(project)
    names = ", ".join(sorted(p.name for p in folder.glob("*.tgz")))
    console.print(f"{folder.relative_to(project.root)}: {names}{'' if filled else ' (as they were)'}")


@release()
def values(
    locations: Annotated[list[str], typer.Argument(help="One; with --platform all that are released alone.")],
    platform: Annotated[bool, typer.Option("--platform", help="Those of the platform's release beside them.")] = False,
) -> None:
    """Write the values for a release of one location."""
    import yaml

    from terrane_cli.charts import releases

    if not platform and len(locations) > 1:
        raise CliError("a release is one location's: name one, or say --platform for what is beside several")
    project = Project.here()
    beside = releases.platform_values(project, locations)
    found = beside if platform else releases.location_values(project, locations[0])
    # By way of JSON, in which what occurs twice is written twice.
    print(yaml.safe_dump(json.loads(json.dumps(found)), sort_keys=False), end="")


@release()
def build(
    tag: Annotated[str, typer.Option(help="Names one content for ever: a version or a commit.")],
    names: Annotated[list[str] | None, typer.Argument(help="Of images; every one where none is named.")] = None,
    registry: Annotated[str, typer.Option(help="Where they belong.")] = "",
    push: Annotated[bool, typer.Option("--push", help="Put them there.")] = False,
    words: Annotated[str, typer.Option("--with", help="Words for docker: '--secret id=uv,src=uv.toml'.")] = "",
) -> None:
    """Build images for a registry: build --tag 4091852 --registry example.com/team."""
    from terrane_cli.cluster import building

    wanted = building.Build(tag, registry, push, tuple(shlex.split(words)))
    for called in building.build(Project.here(), wanted, names or []):
        console.print(called)


@release()
def package(
    version: Annotated[str, typer.Argument(help="Of the charts.")],
    images: Annotated[str, typer.Option(help="Where the images are: registry.example.com/team.")],
    digests: Annotated[Path, typer.Option(help="JSON: each image's digest, by its name.")],
    output: Annotated[Path, typer.Option(help="The folder for what is packed.")] = Path("dist"),
) -> None:
    """Pack the charts of a release, with the digests of its images in their values."""
    from terrane_cli.charts import packaging

    output.mkdir(parents=True, exist_ok=True)
    made = packaging.Release(version, images, json.loads(digests.read_text()))
    console.print(str(packaging.package(Project.here(), made, output)))
