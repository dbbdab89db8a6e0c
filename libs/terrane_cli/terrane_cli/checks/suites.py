"""Every test, type check and definition load, each in the environment it belongs to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console
from rich.table import Table

from terrane_cli.locations.description import read_locations
from terrane_cli.project import Project, program

# pytest's own code for "no tests": for a folder that has none yet.
NO_TESTS = 5


@dataclass(frozen=True)
class Suite:
    """Tests that run in one environment: the folder that owns the environment, and what is tested and covered."""

    name: str
    environment: Path
    tests: list[Path]
    covered: str


@dataclass(frozen=True)
class Outcome:
    suite: str
    code: int
    seconds: float
    counts: dict[str, int]
    skipped: Counter[str]


def suites(project: Project) -> list[Suite]:
    """The workspace's suites, then one a location."""
    root = project.root
    libraries = ("terrane", "terrane_dev", "terrane_cli")
    shared = Suite("libs", root, [root / f"libs/{name}/tests" for name in libraries], ",".join(libraries))
    locations = [_suite_of(project, name) for name in project.locations]
    whole = Suite("whole", root, [root / f"tests/{part}" for part in ("contracts", "charts", "local")], "terrane_cli")
    return [shared, *locations, whole]


def _suite_of(project: Project, location: str) -> Suite:
    folder = project.location_folder(location)
    libraries = project.tested_libraries(location)
    tests = [*(library / "tests" for library in libraries), folder / "tests"]
    return Suite(location, folder, tests, ",".join([*(library.name for library in libraries), location]))


def run_tests(project: Project, console: Console, arguments: list[str]) -> int:
    """Runs every suite, one after the other, and sums them up; returns 0 when all passed."""
    for old in project.root.glob(".coverage.*"):
        old.unlink()
    outcomes = [_run_suite(project, console, suite, arguments) for suite in suites(project)]
    _combine_coverage(project)
    _show(console, outcomes)
    total = {word: sum(o.counts.get(word, 0) for o in outcomes) for word in ("passed", "failed", "error", "skipped")}
    failed = total["failed"] + total["error"]
    print(f"{total['passed']} passed, {failed} failed, {total['skipped']} skipped")
    print(_why_skipped([o.skipped for o in outcomes]), flush=True)
    return 1 if failed or any(o.code not in (0, NO_TESTS) for o in outcomes) else 0


def check_definitions(project: Project, console: Console) -> int:
    """Loads each location's definitions with its own `dg`; returns 0 when all load. Nothing needs to run for it."""
    # Loading asks for no instance, and this machine's may have its database stopped.
    variables = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    codes = []
    for name in project.locations:
        folder = project.location_folder(name)
        console.print(f"[bold]{name}[/]")
        own = variables | {"VIRTUAL_ENV": str(folder / ".venv")}
        codes.append(subprocess.run([program(folder, "dg"), "check", "defs"], cwd=folder, env=own).returncode)
    return max(codes)


def check_types(project: Project, console: Console) -> int:
    """Runs pyright over each part with the interpreter that its imports come from; returns 0 when all pass."""
    root = project.root
    own = ["libs/terrane", "libs/terrane_dev", "libs/terrane_cli", "tests", "samples/source_api"]
    parts = [(root, [*own, "benchmarks/report.py", "benchmarks/platform.py", "benchmarks/environments/touching.py"])]
    locations, wrong = read_locations(project)
    for problem in wrong:
        console.print(f"[red]{problem}[/]", highlight=False)
    for name, location in locations.items():
        libraries = [f"libs/{library.name}" for library in project.tested_libraries(name)]
        parts.append(
            (project.location_folder(name), [f"code_locations/{name}", *libraries, *location.python_elsewhere])
        )
    codes = []
    for environment, folders in parts:
        console.print(f"[bold]{' '.join(folders)}[/]")
        command = [program(root, "pyright"), "--pythonpath", program(environment, "python"), *folders]
        codes.append(subprocess.run(command, cwd=root).returncode)
    return max([*codes, 1 if wrong else 0])


def _run_suite(project: Project, console: Console, suite: Suite, arguments: list[str]) -> Outcome:
    console.print(f"\n[bold]{suite.name}[/]")
    tests = [str(path) for path in suite.tests if path.exists()]
    coverage = [f"--cov={package}" for package in suite.covered.split(",")]
    command = [
        str(program(suite.environment, "python")),
        "-m",
        "pytest",
        "-q",
        *coverage,
        "--cov-report=",
        *tests,
        *arguments,
    ]
    report = project.state / f"reports/{suite.name}.xml"
    report.unlink(missing_ok=True)
    command.append(f"--junit-xml={report}")
    variables = os.environ | {"COVERAGE_FILE": str(project.root / f".coverage.{suite.name}")}
    began = time.monotonic()
    lines: list[str] = []
    with subprocess.Popen(
        command, cwd=project.root, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            sys.stdout.write(line)
            lines.append(line)
    sys.stdout.flush()
    return Outcome(suite.name, process.returncode, time.monotonic() - began, _counts(lines), _skipped(report))


def _skipped(report: Path) -> Counter[str]:
    """How many tests were skipped, by reason, as pytest's report in JUnit's format has it."""
    if not report.exists():
        return Counter()
    tree = ElementTree.parse(report)  # noqa: S314 (written by pytest a moment ago)
    return Counter(element.get("message", "without a reason") for element in tree.iter("skipped"))


def _why_skipped(suites: list[Counter[str]]) -> str:
    """The closing line: each reason for which tests were skipped, with their number."""
    reasons = sum(suites, Counter())
    if not reasons:
        return "skipped: none"
    return "skipped: " + "; ".join(f"{number} because {reason}" for reason, number in reasons.most_common())


def _counts(lines: list[str]) -> dict[str, int]:
    """What pytest's closing line counts: `3 failed, 10 passed, 1 skipped in 2.1s`."""
    closing = next((line for line in reversed(lines) if re.search(r"\bin \d+[.\d]*s", line)), "")
    return {word.rstrip("s") if word == "errors" else word: int(n) for n, word in re.findall(r"(\d+) (\w+)", closing)}


def _combine_coverage(project: Project) -> None:
    coverage = [str(program(project.root, "python")), "-m", "coverage"]
    files = sorted(str(p) for p in project.root.glob(".coverage.*"))
    subprocess.run([*coverage, "combine", "--quiet", *files], cwd=project.root)
    subprocess.run([*coverage, "report", "--format=total"], cwd=project.root)


def _show(console: Console, outcomes: list[Outcome]) -> None:
    table = Table("suite", "passed", "failed", "skipped", "seconds", box=None)
    for o in outcomes:
        failed = o.counts.get("failed", 0) + o.counts.get("error", 0)
        figures = [str(o.counts.get("passed", 0)), str(failed), str(o.counts.get("skipped", 0)), f"{o.seconds:.0f}"]
        table.add_row(f"[{'red' if failed or o.code not in (0, NO_TESTS) else 'green'}]{o.suite}[/]", *figures)
    console.print()
    console.print(table)
