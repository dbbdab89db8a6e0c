"""Puts one fault after another into the rendered charts, and counts which of them the charts' tests notice.

The tests run once without a fault, which fills the memory with what helm renders; then a child process a fault runs
them again on the changed objects, and stops at the first that fails. What a fault came to is kept below .terrane, under
a digest of charts and tests, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest
from benchmarks.report import merge_figures
from tests.charts import rendering
from tests.charts.mutations.children import answers
from tests.charts.mutations.drawn import draw
from tests.charts.mutations.fault import Fault
from tests.charts.mutations.written import WRITTEN

from terrane_cli.charts.dependencies import official_chart
from terrane_cli.project import Project

SEED, DRAWN = 20_261_127, 200
COMMAND = "make mutate-charts"
# Modules whose tests ask no render of a fault's, or ask it of servers.
LEFT_OUT = (
    "store_servers",
    "managed_servers",
    "packaging",
    "dependencies",
    "official_chart",
    "values",
    "production",
    "chart_docs",
    "notes",
)
# Those that notice most come first, for a child ends at the first test that fails; then those that noticed so far.
FIRST = ("test_processes", "test_identity", "test_network", "test_volumes", "test_configuration", "test_hooks")


class Mutations:
    """A plugin of pytest: after the tests, the same tests once for each fault."""

    def __init__(self, project: Project) -> None:
        # Read once: who edits a chart or a test while this runs must not have the rest kept as theirs.
        self._file = _state(project)
        self.kept = _kept(self._file)
        self.faults: dict[str, list[str]] = {"planted": [], "drawn": []}
        self.skipped = 0
        self._failed = ""
        self._catches = Counter[str]()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        order = {name: place for place, name in enumerate(FIRST)}
        items.sort(key=lambda item: order.get(item.path.stem, len(FIRST)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self._failed:
            self._failed = _name(report)
        self.skipped += report.skipped

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        began = time.monotonic()
        if failed := self._run(session):
            raise session.Failed(f"without any fault: {failed}")
        print(f"\n{len(session.items)} tests without a fault: {time.monotonic() - began:.0f} s", flush=True)
        for kind, faults in (("planted", WRITTEN), ("drawn", draw(_objects(), DRAWN, SEED))):
            self.faults[kind] = [f"{kind}: {fault.name}" for fault in faults]
            left = [f for f, name in zip(faults, self.faults[kind], strict=True) if name not in self.kept]
            for fault, caught in answers(left, lambda fault: self._first_to_fail(session, fault)):
                name = f"{kind}: {fault.name}"
                self.kept[name] = caught
                self._catches[caught] += 1
                _keep(self._file, name, caught)
                print(f"{caught or 'SURVIVED'}  {name}", flush=True)
        print(f"All of it: {time.monotonic() - began:.0f} s", flush=True)
        return True

    def _run(self, session: pytest.Session) -> str:
        """Runs the tests up to the first that fails; returns its name."""
        self._failed = ""
        following = [*session.items[1:], None]
        for item, next_item in zip(session.items, following, strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=next_item)
            if self._failed:
                break
        return self._failed

    def _first_to_fail(self, session: pytest.Session, fault: Fault) -> str:
        """The first test that fails with the fault; empty when none does."""
        rendering.fault = fault
        session.items.sort(key=lambda item: -self._catches[_name(item)])
        return self._run(session)


def main() -> int:
    project = Project.here()
    os.chdir(project.root)
    # One release of the chart is enough to see a fault, and twice as fast.
    os.environ.pop("TERRANE_DAGSTER_CHART_OLDER", None)
    mutations = Mutations(project)
    left_out = [f"--ignore=tests/charts/test_{name}.py" for name in LEFT_OUT]
    with tempfile.TemporaryDirectory() as folder:
        options = ["-q", "--no-header", "-p", "no:cacheprovider", f"--basetemp={folder}/tests"]
        # Not captured: what a child would say is not wanted, and what the parent says is.
        options += ["--capture=no", "--tb=short", "-m", "not integration", *left_out, "tests/charts"]
        if code := pytest.main(options, plugins=[mutations]):
            return int(code)
    caught = {kind: sum(1 for name in names if mutations.kept[name]) for kind, names in mutations.faults.items()}
    planted, drawn = (len(names) for names in mutations.faults.values())
    figures = {
        "mutations_planted": planted,
        "mutations_caught": caught["planted"],
        "mutants_drawn": drawn,
        "mutants_caught_share": round(caught["drawn"] / drawn, 3),
        "chart_tests_skipped": mutations.skipped,
    }
    merge_figures("platform", figures, {"command": COMMAND, "repeats": 1, "seed": SEED})
    survivors = [name for names in mutations.faults.values() for name in names if not mutations.kept[name]]
    print("\n".join(["", f"{len(survivors)} survived:", *survivors]))
    print(f"planted: {caught['planted']} of {planted} caught; drawn: {caught['drawn']} of {drawn}")
    return 0


def _name(test: pytest.Item | pytest.TestReport) -> str:
    return test.nodeid.split("/")[-1]


def _objects() -> list[rendering.Object]:
    """The objects of all profiles, each once."""
    found = {}
    for profile in rendering.PROFILES:
        for o in rendering.first_render(profile).objects:
            found.setdefault((o["kind"], o["metadata"]["name"]), o)
    return list(found.values())


def _state(project: Project) -> Path:
    digest = hashlib.sha256(official_chart(project).read_bytes())
    for folder in ("charts", "tests/charts"):
        for file in sorted((project.root / folder).rglob("*")):
            if file.is_file() and file.suffix not in {".pyc", ".tgz", ".lock"}:
                digest.update(str(file.relative_to(project.root)).encode() + file.read_bytes())
    return project.state / "mutate-charts" / f"{digest.hexdigest()[:16]}.jsonl"


def _kept(file: Path) -> dict[str, str]:
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = file.read_text().splitlines() if file.exists() else []
    return {name: caught for line in lines for name, caught in json.loads(line).items()}


def _keep(file: Path, name: str, caught: str) -> None:
    with file.open("a") as kept:
        kept.write(json.dumps({name: caught}) + "\n")


if __name__ == "__main__":
    sys.exit(main())
