"""Three assets, three runs, three processes: each reads the frame that the one before returned."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_frames_go_from_run_to_run_in_processes_of_their_own(tmp_path: Path) -> None:
    store = tmp_path / "store"
    file = Path(__file__).with_name("chain_of_frames.py")
    variables = os.environ | {"ENDPOINT": store.as_uri()}
    for number, name in enumerate(("table", "frame", "total")):
        home = tmp_path / f"home-{number}"
        home.mkdir()
        command = [sys.executable, "-m", "dagster", "asset", "materialize", "--select", name, "-f", str(file)]
        done = subprocess.run(
            command, env=variables | {"DAGSTER_HOME": str(home)}, capture_output=True, text=True, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr[-3000:]
    (frame,) = store.glob("*/asset_values/frame/*/*/value.parquet")
    assert pq.read_table(frame).column("double").to_pylist() == [2, 4, 6]
    (total,) = store.glob("*/asset_values/total/*/*/value.pickle")
    assert b"\x0c" in total.read_bytes()
