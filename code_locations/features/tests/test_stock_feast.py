"""What we apply and materialise is Feast's own: its stock command line works on it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def feast(stores, *arguments: str) -> str:
    command = [Path(sys.executable).parent / "feast", *arguments]
    done = subprocess.run(command, cwd=stores.feast.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_stock_command_line_reads_what_was_applied_and_applies_over_it(stores) -> None:
    stores.run()
    listed = feast(stores, "feature-views", "list")
    assert "user_journal_features" in listed
    assert "user_entity" in listed
    online = feast(stores, "get-online-features", "-f", "user_journal_features:entries_total", "-e", "user_id=7")
    assert "21" in online
    feast(stores, "apply")
    assert stores.online(7)["entries_total"] == [21]
    assert stores.feast.store().get_feature_view("user_journal_features").materialization_intervals
