"""What we apply and materialise is Feast's own: its stock command line works on it."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from terrane_features.registry.state import only_writer

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def started(stores, *arguments: str) -> subprocess.Popen:
    command = [Path(sys.executable).parent / "feast", "--log-level", "INFO", *arguments]
    return subprocess.Popen(
        command, cwd=stores.feast.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def feast(stores, *arguments: str) -> str:
    process = started(stores, *arguments)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output


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


def test_the_stock_command_line_materialises_with_our_engine_and_waits_its_turn(stores) -> None:
    stores.run()
    before = stores.online(*range(1, stores.users + 1))
    with stores.feast.online_store().client() as client:
        client.flushdb()
    with only_writer(stores.warehouse, "terrane") as connection:
        process = started(stores, "materialize", "2000-01-01T00:00:00", datetime.now(UTC).isoformat())
        until = time.monotonic() + 60
        while not connection.execute("select 1 from pg_locks where locktype = 'advisory' and not granted").fetchone():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.1)
    output, _ = process.communicate()
    assert f"user_journal_features: {stores.users} rows read, {stores.users} written" in output
    assert stores.online(*range(1, stores.users + 1)) == before
