"""What is asked of a cluster and cannot be had is named before anything is made."""

from __future__ import annotations

import pytest
from rich.console import Console

from terrane_cli.cluster.cli import main
from terrane_cli.cluster.status import cause
from terrane_cli.project import Project

pytestmark = pytest.mark.unit


def test_an_unknown_profile_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--profile", "production"], Project.here(), Console(width=200)) == 1
    assert "there is no profile production; skaffold.yaml has celery" in capsys.readouterr().out


def test_of_a_log_the_last_line_that_names_an_error_is_told() -> None:
    log = """Traceback (most recent call last):
  File "definitions.py", line 3, in <module>
ModuleNotFoundError: No module named 'rasterio'
shutting down
"""
    assert cause(log) == "ModuleNotFoundError: No module named 'rasterio'"


def test_of_a_log_without_errors_the_last_line_is_told() -> None:
    assert cause("starting\nlistening on 4000\n\n") == "listening on 4000"


def test_an_empty_log_is_told_as_such() -> None:
    assert cause("") == "it said nothing"
