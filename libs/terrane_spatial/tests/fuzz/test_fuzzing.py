"""A short run of each fuzzer: `make fuzz MINUTES=30` runs them for long, and keeps what they find."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.unit,
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this machine"),
]

HERE = Path(__file__).parent
SECONDS = 8
MANIFEST = {
    "version": 1,
    "batch_id": "b-1",
    "dataset": "places",
    "files": [{"key": "batches/b-1/places.zip", "size": 3, "sha256": "a" * 64, "crs": "EPSG:4326", "layer": "l"}],
}


def seeds(folder: Path) -> Path:
    """A corpus to begin with: what is right, so that the fuzzer need not find that first."""
    folder.mkdir()
    (folder / "good").write_text(json.dumps(MANIFEST))
    (folder / "geojson").write_text('{"type": "FeatureCollection", "features": []}')
    (folder / "tab").write_text("!table\n!version 300\nDefinition Table\n")
    (folder / "bytes").write_bytes(bytes(range(256)))
    return folder


def run(program: str, corpus: Path, *options: str) -> subprocess.CompletedProcess[str]:
    artifacts = f"-artifact_prefix={corpus.parent}/"
    # Not by resident memory, whose peak a process takes over from the one that started it.
    limits = ["-rss_limit_mb=0", "-malloc_limit_mb=1024"]
    command = [sys.executable, str(HERE / f"{program}.py"), artifacts, *limits, *options, str(corpus)]
    return subprocess.run(command, capture_output=True, text=True, cwd=corpus.parent, timeout=SECONDS * 10)


@pytest.mark.parametrize("program", ["fuzz_manifests", "fuzz_rows"])
def test_a_fuzzer_finds_nothing_in_a_short_run(program: str, tmp_path: Path) -> None:
    done = run(program, seeds(tmp_path / "corpus"), f"-max_total_time={SECONDS}")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "cov:" in done.stderr
