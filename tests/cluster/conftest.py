"""A kind cluster of these tests' own, with the platform on it and the demo told: made once, deleted at the end.

`TERRANE_CLUSTER` names another cluster to make and delete; `TERRANE_KEEP_CLUSTER=1` leaves it for a look.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("TERRANE_CLUSTER", "terrane-test")

from tests.cluster.platform import Cluster

from terrane_cli.cluster import preflight
from terrane_cli.project import Project


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    missing = [f"{f.name}: {f.detail}" for f in preflight.examine() if not f.good]
    if missing:
        pytest.fail("no cluster can be made here: " + "; ".join(missing))
    project = Project.here()
    made = Cluster(project, "", -1, 0)
    began = time.monotonic()
    done = made.terrane("up", "--once")
    made.output, made.code, made.seconds = done.stdout + done.stderr, done.returncode, time.monotonic() - began
    try:
        yield made
    finally:
        if not os.environ.get("TERRANE_KEEP_CLUSTER"):
            made.terrane("down")


@pytest.fixture(scope="session")
def pictures(project: Project) -> Path:
    return project.root / "docs/images"
