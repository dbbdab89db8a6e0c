"""Every test, each suite in the environment it belongs to, summed up at the end."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from terrane_cli.commands import show
from terrane_cli.console import console, titled_table
from terrane_cli.project import Project, program

# With any value, which lines the tests run is measured as well: half as much CPU again.
COVERAGE = "COVERAGE"
# pytest's own code for "no tests": for a folder that has none yet.
NO_TESTS = 5


@dataclass(frozen=True)
class Suite:
    """Tests that run in one environment: the folder that owns the environment, and what is tested and covered."""

    name: str
    environment: Path
    tests: list[Path]
    covered: list[str]


@dataclass(frozen=True)
class Outcome:
    """How a suite ended. `skipped` has the number of tests that were skipped, by reason."""

    suite: str
    code: int
    seconds: float
    counts: Counter[str]
    skipped: Counter[str]

    @property
    def good(self) -> bool:
        return self.code in (0, NO_TESTS)


def suites(project: Project) -> list[Suite]:
    """The workspace's suites, then one a location."""
    root, libraries = project.root, ["terrane", "terrane_dev", "terrane_cli"]
    shared = Suite("libs", root, [root / f"libs/{name}/tests" for name in libraries], libraries)
    whole = Suite("whole", root, [root / f"tests/{part}" for part in ("contracts", "charts", "local")], ["terrane_cli"])
    return [shared, *(_suite_of(project, name) for name in project.locations), whole]


def _suite_of(project: Project, location: str) -> Suite:
    folder, libraries = project.location_folder(location), project.tested_libraries(location)
    tests = [*(library / "tests" for library in libraries), folder / "tests"]
    return Suite(location, folder, tests, [*(library.name for library in libraries), location])


def run_tests(project: Project, arguments: list[str]) -> bool:
    """Runs every suite, one after the other, and sums them up; returns whether all passed."""
    for old in project.root.glob(".coverage.*"):
        old.unlink()
    outcomes = [run_suite(project, suite, arguments) for suite in suites(project)]
    if os.environ.get(COVERAGE):
        coverage = [program(project.root, "python"), "-m", "coverage"]
        show([*coverage, "combine", "--quiet", *sorted(project.root.glob(".coverage.*"))], folder=project.root)
        show([*coverage, "report"], folder=project.root)
    table = titled_table("", "suite", "passed", "failed", "skipped", "seconds")
    for o in outcomes:
        figures = (str(o.counts[word]) for word in ("passed", "failed", "skipped"))
        table.add_row(f"[{'green' if o.good else 'red'}]{o.suite}[/]", *figures, f"{o.seconds:.0f}")
    console.print(table)
    total = sum((o.counts for o in outcomes), Counter())
    console.print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    console.print(why_skipped(sum((o.skipped for o in outcomes), Counter())), markup=False)
    return all(o.good for o in outcomes)


def run_suite(project: Project, suite: Suite, arguments: list[str]) -> Outcome:
    console.print(f"\n[bold]{suite.name}[/]")
    report = project.state / f"reports/{suite.name}.xml"
    report.unlink(missing_ok=True)
    coverage = [*(f"--cov={package}" for package in suite.covered), "--cov-report="] if os.environ.get(COVERAGE) else []
    tests = [path for path in suite.tests if path.exists()]
    pytest = [program(suite.environment, "python"), "-m", "pytest", "-q", f"--junit-xml={report}"]
    variables = os.environ | {"COVERAGE_FILE": str(project.root / f".coverage.{suite.name}")}
    began = time.monotonic()
    code = show([*pytest, *coverage, *tests, *arguments], folder=project.root, environment=variables)
    return Outcome(suite.name, code, time.monotonic() - began, *_read(report))


def _read(report: Path) -> tuple[Counter[str], Counter[str]]:
    """How many tests passed, failed and were skipped, and the skipped by reason, from a report in JUnit's format."""
    if not report.exists():
        return Counter(), Counter()
    tree = ElementTree.parse(report)  # noqa: S314 (written by pytest a moment ago)
    skipped = Counter(element.get("message", "without a reason") for element in tree.iter("skipped"))
    sums = Counter({name: sum(int(s.get(name, 0)) for s in tree.iter("testsuite")) for name in _SUMS})
    failed = sums["failures"] + sums["errors"]
    passed = sums["tests"] - failed - sums["skipped"]
    return Counter(passed=passed, failed=failed, skipped=sums["skipped"]), skipped


_SUMS = ("tests", "failures", "errors", "skipped")


def why_skipped(reasons: Counter[str]) -> str:
    """The closing line: each reason for which tests were skipped, with their number."""
    told = "; ".join(f"{number} because {reason}" for reason, number in reasons.most_common())
    return f"skipped: {told or 'none'}"
