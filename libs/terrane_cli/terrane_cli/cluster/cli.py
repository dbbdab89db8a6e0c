"""The sub-commands of `terrane cluster`."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

from terrane_cli.charts import dependencies, packaging, releases
from terrane_cli.cluster import building, debugging, deploying, kind, preflight, status, story
from terrane_cli.cluster.commands import ClusterError, use_named_helm
from terrane_cli.demo.story import DemoFailed
from terrane_cli.project import Project


def main(words: list[str], project: Project, console: Console) -> int:
    """Runs the sub-command; what the cluster's tools refuse becomes a message and exit code 1."""
    options = _parser().parse_args(words)
    use_named_helm()
    try:
        return options.command(options, project, console)
    except (ClusterError, DemoFailed) as problem:
        console.print(f"[bold red]It failed.[/] {problem}", highlight=False)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="terrane cluster", description="The platform on a local kind cluster.")
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, function: object, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(command=function)
        return command

    making = add("up", up, "make the cluster, build and deploy all of it, run the demo, and follow changes")
    making.add_argument("--once", action="store_true", help="end after the table; the cluster keeps running")
    making.add_argument("--profile", default="", help="one of skaffold.yaml's profiles: celery")
    add("down", down, "delete the cluster")
    add("status", show_status, "say of every pod where it belongs and how it is")
    add("demo", tell_story, "deliver the sample batch and show its features")
    add("charts", fill_charts, "get the umbrella's dependencies")
    add("reload", reload, "have a location's code server load its files again").add_argument("location")
    one = add("values", print_values, "write the values for a release of one location")
    one.add_argument("location")
    one.add_argument("--platform", action="store_true", help="those of the platform's release beside it")
    inside = add("debug", debug, "run a module in a location's pod under a debugger: debug spatial dagster --version")
    inside.add_argument("target", help=f"a location, or {debugging.FEATURE_SERVER}")
    inside.add_argument("--port", type=int, default=debugging.PORT, help="of this machine, for the debugger")
    inside.add_argument("words", nargs=argparse.REMAINDER, help="the module and its arguments")
    built = add("build", build_images, "build images for a registry: build --tag 4091852 --registry example.com/team")
    built.add_argument("names", nargs="*", help="of images; every one where none is named")
    built.add_argument("--tag", required=True, help="names one content for ever: a version or a commit")
    built.add_argument("--registry", default="", help="where they belong")
    built.add_argument("--push", action="store_true", help="put them there")
    built.add_argument("--with", dest="words", default="", help="words for docker: '--secret id=uv,src=uv.toml'")
    packed = add("package", package, "pack the charts of a release, with the digests of its images in their values")
    packed.add_argument("version")
    packed.add_argument("--images", required=True, help="where the images are: registry.example.com/team")
    packed.add_argument("--digests", required=True, type=Path, help="JSON: each image's digest, by its name")
    packed.add_argument("--output", type=Path, default=Path("dist"))
    return parser


def up(options: argparse.Namespace, project: Project, console: Console) -> int:
    profile = deploying.profile(project, options.profile)
    if not _show_preflight(console):
        return 1
    deploying.make_and_deploy(project, console, profile)
    if options.once:
        console.print("The cluster keeps running; `make cluster-down` deletes it.")
        return 0
    deploying.skaffold(project, "dev", "--cleanup=false", *profile)
    return 0


def down(_: argparse.Namespace, __: Project, console: Console) -> int:
    console.print("The cluster is deleted." if kind.delete_cluster() else "There was no cluster.")
    return 0


def show_status(_: argparse.Namespace, __: Project, console: Console) -> int:
    return 0 if status.show(console) else 1


def tell_story(_: argparse.Namespace, project: Project, console: Console) -> int:
    story.run(project, console)
    return 0


def fill_charts(_: argparse.Namespace, project: Project, console: Console) -> int:
    folder, filled = dependencies.ensure_dependencies(project)
    names = ", ".join(sorted(p.name for p in folder.glob("*.tgz")))
    made = "" if filled else " (as they were)"
    console.print(f"{folder.relative_to(project.root)}: {names}{made}", highlight=False)
    return 0


def reload(options: argparse.Namespace, _: Project, console: Console) -> int:
    seconds = story.reload_location(options.location)
    console.print(f"{options.location}: loaded again in {seconds:.1f} s", highlight=False)
    return 0


def print_values(options: argparse.Namespace, project: Project, _: Console) -> int:
    values = releases.platform_values if options.platform else releases.location_values
    # By way of JSON, in which what occurs twice is written twice.
    plain = json.loads(json.dumps(values(project, options.location)))
    print(yaml.safe_dump(plain, sort_keys=False), end="")
    return 0


def debug(options: argparse.Namespace, project: Project, _: Console) -> int:
    known = [*project.locations, debugging.FEATURE_SERVER]
    if options.target not in known:
        raise ClusterError(f"there is nothing to debug that is called {options.target}; there are {', '.join(known)}")
    return debugging.debug(options.target, options.words, options.port)


def build_images(options: argparse.Namespace, project: Project, console: Console) -> int:
    wanted = building.Build(options.tag, options.registry, options.push, tuple(shlex.split(options.words)))
    for called in building.build(project, wanted, options.names):
        console.print(called, highlight=False)
    return 0


def package(options: argparse.Namespace, project: Project, console: Console) -> int:
    release = packaging.Release(options.version, options.images, json.loads(options.digests.read_text()))
    options.output.mkdir(parents=True, exist_ok=True)
    console.print(str(packaging.package(project, release, options.output)), highlight=False)
    return 0


def _show_preflight(console: Console) -> bool:
    findings = preflight.examine()
    table = Table("needed", "state", "detail", title="Before the cluster", title_justify="left", title_style="bold")
    for finding in findings:
        table.add_row(finding.name, "[green]✔[/]" if finding.good else "[red]✘[/]", finding.detail)
    console.print(table)
    return all(finding.good for finding in findings)
