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


@pytest.mark.parametrize("asked", [None, "1"])
def test_which_lines_run_is_measured_when_it_is_asked_for(
    asked: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(suites.COVERAGE, raising=False)
    if asked:
        monkeypatch.setenv(suites.COVERAGE, asked)
    (tmp_path / "test_some.py").write_text("def test_one(): import terrane_cli.matrix")
    suite = suites.Suite("some", Project.here().root, [tmp_path / "test_some.py"], ["terrane_cli"])
    outcome = suites.run_suite(Project(tmp_path), suite, ["-p", "no:cacheprovider"])
    assert outcome.counts["passed"] == 1
    assert (tmp_path / ".coverage.some").exists() is bool(asked)


def test_nothing_skipped_is_said_too() -> None:
    assert suites.why_skipped(Counter()) == "skipped: none"
