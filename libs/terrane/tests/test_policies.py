"""What every location does alike."""

from __future__ import annotations

import pytest

from terrane.policies import ping_job

pytestmark = pytest.mark.unit


def test_ping_runs_and_does_nothing() -> None:
    assert ping_job().execute_in_process().success
