"""What is said of a test run when it ends."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from terrane_cli.checks import suites
from terrane_cli.project import Project

pytestmark = pytest.mark.unit

TESTS = """
import pytest

def test_one(): pass

@pytest.mark.skip(reason="no Go on this machine")
def test_two(): pass

@pytest.mark.skip(reason="no Go on this machine")
def test_three(): pass
"""


def test_the_last_line_counts_what_was_skipped_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    monkeypatch.setenv("TERRANE_STATE", str(tmp_path / "state"))
    project = Project.here()
    suite = suites.Suite("some", project.root, [tmp_path / "test_some.py"], ["terrane_cli"])
    outcome = suites.run_suite(project, suite, ["-p", "no:cacheprovider"])
    assert (outcome.counts["passed"], outcome.counts["skipped"]) == (1, 2)
    assert suites.why_skipped(outcome.skipped) == "skipped: 2 because no Go on this machine"


def test_nothing_skipped_is_said_too() -> None:
    assert suites.why_skipped(Counter()) == "skipped: none"
