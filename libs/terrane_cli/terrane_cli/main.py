"""The `terrane` command: what `make` calls, and what can be typed by hand."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import time

from rich.console import Console

from terrane_cli.project import Project
from terrane_dev.servers.process import ServerFailed


def main() -> int:
    console = Console(stderr=False, soft_wrap=not sys.stdout.isatty(), width=None if sys.stdout.isatty() else 160)
    try:
        if sys.argv[1:2] == ["cluster"]:
            from terrane_cli.cluster import cli

            return cli.main(sys.argv[2:], Project.here(), console)
        options = _parser().parse_args()
        return options.command(options, Project.here(), console)
    except KeyboardInterrupt:
        return 130


def demo(options: argparse.Namespace, project: Project, console: Console) -> int:
    from terrane_cli.demo import story
    from terrane_cli.laptop.platform import Platform

    platform = Platform(project)
    try:
        story.run(platform, console)
        if not options.once:
            console.print("Running until Ctrl-C.")
            while True:
                time.sleep(3600)
    except (story.DemoFailed, ServerFailed) as problem:
        console.print(f"\n[bold red]The demo failed.[/] {problem}", highlight=False)
        console.print("What was started keeps running; `make down` stops it.")
        return 1
    except KeyboardInterrupt:
        console.print("\nStopping")
        platform.down()
        return 130 if options.once else 0
    console.print("The platform keeps running; `make down` stops it.")
    return 0


def up(_: argparse.Namespace, project: Project, console: Console) -> int:
    from terrane_cli.laptop.platform import Platform

    platform = Platform(project)
    try:
        platform.up(lambda text: console.print(f"  {text}", highlight=False))
    except ServerFailed as problem:
        console.print(f"[bold red]The platform did not start.[/] {problem}", highlight=False)
        return 1
    console.print(f"The UI: {platform.settings.url('webserver')}", highlight=False)
    return 0


def down(_: argparse.Namespace, project: Project, console: Console) -> int:
    from terrane_cli.laptop.supervisor import Supervisor, only_one

    if not project.state.exists():
        return 0
    with only_one(project.state / "lock"):
        stopped = Supervisor(project.state / "run").stop_all()
    console.print(f"Stopped {', '.join(stopped)}." if stopped else "Nothing was running.", highlight=False)
    return 0


def doctor(_: argparse.Namespace, project: Project, console: Console) -> int:
    from terrane_cli.laptop.doctor import examine
    from terrane_cli.laptop.platform import Platform

    return 0 if examine(Platform(project), console) else 1


def environment(_: argparse.Namespace, project: Project, __: Console) -> int:
    """Prints the platform's variables for a shell, passwords included."""
    from terrane_cli.laptop.platform import Platform

    for name, value in sorted(Platform(project).environment().items()):
        if os.environ.get(name) != value:
            print(f"export {name}={shlex.quote(value)}")
    return 0


def execute(options: argparse.Namespace, project: Project, console: Console) -> int:
    """Becomes the command, with the location's environment and the platform's variables."""
    from terrane_cli.laptop.platform import Platform

    folder = project.root if options.location == "workspace" else project.location_folder(options.location)
    platform = Platform(project)
    variables = platform.environment()
    if "postgres" not in platform.supervisor.running():
        print("The platform is not running, so its Dagster instance is left out; `make up` starts it.", file=sys.stderr)
        del variables["DAGSTER_HOME"]
    variables["PATH"] = f"{folder / '.venv/bin'}{os.pathsep}{variables['PATH']}"
    variables["VIRTUAL_ENV"] = str(folder / ".venv")
    os.chdir(folder)
    name = shutil.which(options.words[0], path=variables["PATH"])
    if name is not None:
        os.execve(name, options.words, variables)  # noqa: S606 - it becomes what the caller typed
    console.print(
        f"{options.words[0]} is no command of {folder / '.venv/bin'} nor of PATH; "
        "what developers use (dg, pytest) is installed by `make check`, `make test` and `make lint`",
        highlight=False,
    )
    return 127


def check(_: argparse.Namespace, project: Project, console: Console) -> int:
    from terrane_cli.checks.suites import check_definitions

    return check_definitions(project, console)


def types(_: argparse.Namespace, project: Project, console: Console) -> int:
    from terrane_cli.checks.suites import check_types

    return check_types(project, console)


def test(options: argparse.Namespace, project: Project, console: Console) -> int:
    from terrane_cli.checks.suites import run_tests

    return run_tests(project, console, options.words)


def locations(options: argparse.Namespace, project: Project, console: Console) -> int:
    """Writes what follows from the locations elsewhere; with `--check` it says what would be written."""
    from terrane_cli.locations import generate
    from terrane_cli.locations.description import LocationError

    try:
        changed = generate.outdated(project) if options.check else generate.write(project)
    except LocationError as problem:
        console.print(f"[bold red]Nothing was written.[/]\n{problem}", highlight=False)
        return 1
    what = "to be written" if options.check else "written"
    console.print("\n".join(f"{what}: {file}" for file in changed) or "Nothing has changed.", highlight=False)
    return 1 if options.check and changed else 0


def location(options: argparse.Namespace, project: Project, console: Console) -> int:
    """Makes a location."""
    from terrane_cli.locations.description import Kind, LocationError
    from terrane_cli.locations.making import make

    began = time.monotonic()
    try:
        made = make(project, options.name, Kind(options.kind), lambda text: console.print(f"  {text}", highlight=False))
    except LocationError as problem:
        console.print(f"[bold red]It failed.[/] {problem}", highlight=False)
        return 1
    for file in made.written:
        console.print(f"  written: {file}", highlight=False)
    told = f"{made.folder.relative_to(project.root)} is made, in {time.monotonic() - began:.0f} s."
    console.print(f"{told} `make up` starts its code server, on a platform that runs as well.", highlight=False)
    return 0


def location_remove(options: argparse.Namespace, project: Project, console: Console) -> int:
    """Removes a location, and stops its code server where one runs."""
    from terrane_cli.laptop.platform import Platform
    from terrane_cli.locations.description import LocationError
    from terrane_cli.locations.making import remove

    try:
        written = remove(project, options.name)
    except LocationError as problem:
        console.print(f"[bold red]It failed.[/] {problem}", highlight=False)
        return 1
    stopped = Platform(project).forget(options.name) if project.state.exists() else False
    for file in written:
        console.print(f"  written: {file}", highlight=False)
    console.print(f"{options.name} is removed{', and its code server is stopped' if stopped else ''}.", highlight=False)
    return 0


def lock(options: argparse.Namespace, project: Project, console: Console) -> int:
    from terrane_cli.setup.locks import compile_locks

    return compile_locks(project, console, upgrade=options.upgrade)


def clean(_: argparse.Namespace, project: Project, console: Console) -> int:
    for folder in (project.state / "postgres", project.state / "redis"):
        if folder.is_symlink():
            shutil.rmtree(folder.resolve(), ignore_errors=True)
    if project.state.exists():
        shutil.rmtree(project.state)
    console.print(f"Removed {project.state}.", highlight=False)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="terrane", description="Run Terrane on this machine.")
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, function: object, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(command=function)
        return command

    add("demo", demo, "run the whole platform on real input").add_argument(
        "--once", action="store_true", help="end after the table, and leave the platform running"
    )
    add("up", up, "start the platform")
    add("down", down, "stop what was started")
    add("doctor", doctor, "say what is missing, which ports are taken, and the state of every process")
    add("env", environment, "print the platform's variables for a shell")
    run = add("exec", execute, "run a command in a location's environment: terrane exec spatial dg list defs")
    run.add_argument("location", choices=[*Project.here().locations, "workspace"])
    run.add_argument("words", nargs=argparse.REMAINDER, help="the command")
    add("check", check, "load every location's definitions in its own environment")
    add("types", types, "check types, each location's in its own environment")
    add("test", test, "run every test").add_argument("words", nargs=argparse.REMAINDER, help="arguments for pytest")
    write = add("locations", locations, "write what follows from every location.yaml elsewhere in the checkout")
    write.add_argument("--check", action="store_true", help="write nothing, and fail where something would be written")
    new = add("location", location, "make a location")
    new.add_argument("name")
    new.add_argument("--kind", default="plain", choices=["plain", "dbt", "spatial", "features"])
    add("location-remove", location_remove, "remove a location, and all that follows from it").add_argument("name")
    add("lock", lock, "compile every requirements.lock").add_argument("--upgrade", action="store_true")
    add("clean", clean, "remove .terrane")
    commands.add_parser("cluster", help="the platform on a local kind cluster; has commands of its own")
    return parser
