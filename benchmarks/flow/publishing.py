"""Faults at the lines of publishing, as its tests plant them: how many, and of how many all that was asked held."""

from __future__ import annotations

import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from benchmarks.report import ROOT

TESTS = "tests/publishing/test_faults.py"
PLANTED = "faults_planted"


def faults() -> dict[str, float]:
    """Of a test that fails none of its faults counts as survived, though most may have been."""
    planted = survived = 0
    for number, failed in _of_each_test():
        planted += number
        survived += 0 if failed else number
    return {"publishing_faults_planted": planted, "publishing_faults_survived": survived}


def _of_each_test() -> list[tuple[int, bool]]:
    with tempfile.TemporaryDirectory(prefix="terrane-bench-flow-") as folder:
        report = Path(folder, "report.xml")
        command = [str(ROOT / ".venv/bin/python"), "-m", "pytest", "-q", TESTS, f"--junitxml={report}"]
        done = subprocess.run(command, cwd=ROOT / "libs/terrane", capture_output=True, text=True)
        if not report.exists():
            raise RuntimeError(f"the tests did not run: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        cases = ElementTree.parse(report).iter("testcase")  # noqa: S314 - our own file
        found = []
        for case in cases:
            said = {each.get("name"): each.get("value") for each in case.iter("property")}
            failed = case.find("failure") is not None or case.find("error") is not None
            if case.find("skipped") is None:
                found.append((int(said.get(PLANTED) or 0), failed))
    return found
