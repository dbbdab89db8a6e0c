"""Where memory is short as in a pod with a small limit: the kernel ends the reading process, and no batch is blamed."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from spatial_batches import geojson_batch
from spatial_platform import Platform, failure_of

from terrane_spatial.reading import gdal_process

pytestmark = pytest.mark.integration

# Less than Arrow's and GDAL's libraries take, and more than Python's.
SMALL_BYTES = 24 << 20
GROUPS = Path("/sys/fs/cgroup")
# A control group of version 1, and of version 2 where its parent hands memory on.
PLACES = ((GROUPS / "memory", "memory.limit_in_bytes"), (GROUPS, "memory.max"))
JOIN = """
import os, runpy
with open({procs!r}, "w") as group:
    group.write(str(os.getpid()))
runpy.run_module("terrane_spatial.reading.child.entry", run_name="__main__")
"""


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group with a small limit of memory, where one may be made."""
    for parent, limit in PLACES:
        group = parent / f"terrane-test-{uuid.uuid4().hex[:8]}"
        try:
            group.mkdir()
            (group / limit).write_text(str(SMALL_BYTES))
        except OSError:
            if group.is_dir():
                group.rmdir()
            continue
        yield group
        _remove(group)
        return
    pytest.skip("no control group with a limit of memory may be made here")


def _remove(group: Path) -> None:
    """Processes that were ended stay in it for a moment."""
    for _ in range(100):
        try:
            group.rmdir()
            return
        except OSError:
            time.sleep(0.05)


def test_a_reading_process_that_the_kernel_ends_for_its_memory_fails_the_run_and_not_the_batch(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, small_group: Path
) -> None:
    platform.put("good", geojson_batch())
    (request,) = platform.requests()
    joined = [sys.executable, "-c", JOIN.format(procs=str(small_group / "cgroup.procs"))]
    with monkeypatch.context() as short:
        short.setattr(gdal_process, "CHILD", joined)
        said = failure_of(platform.run(request))
    assert "SIGKILL" in said
    assert "the memory limit here is" in said
    batch = platform.batch("good")
    assert batch
    assert (batch.state, platform.marker("good")) == ("failed", None)
    assert platform.run(request).success
