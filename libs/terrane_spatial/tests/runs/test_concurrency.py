"""Batches side by side, on the real ledger, store and loader."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import obstore
import pytest
from spatial_batches import collection, point
from spatial_platform import Platform

from terrane.publishing import list_commits
from terrane_spatial.errors import StageError
from terrane_spatial.runs import stages
from terrane_spatial.runs.work import Dataset, Work

pytestmark = [pytest.mark.integration, pytest.mark.slow]

BATCHES = 19


def test_twenty_runs_at_once_publish_every_batch_once(platform_anywhere: Platform) -> None:
    """Two of the runs work on one batch: one of them wins, and the other finds what the winner published."""
    platform = platform_anywhere
    ids = [f"b-{number}" for number in range(BATCHES)]
    for number, batch_id in enumerate(ids):
        content = collection(point(at, at, name=f"{batch_id} {at}") for at in range(number + 1))
        platform.put(batch_id, {"wells.geojson": content}, dataset="places")
    while len(platform.requests()) < BATCHES:
        continue
    wanted = [*ids, ids[0]]
    with ThreadPoolExecutor(len(wanted)) as pool:
        published = list(pool.map(lambda at: _run(platform, f"run-{at}", wanted[at]), range(len(wanted))))

    commits = list_commits(platform.lake, "places")
    assert sorted(commit.batch_id for commit in commits) == sorted(ids)
    assert {c.batch_id: c.summary["rows"]["wells"] for c in commits} == {b: n + 1 for n, b in enumerate(ids)}
    assert published[0].commit == published[-1].commit
    assert published[0].commit.run_id in ("run-0", f"run-{BATCHES}")
    assert platform.schemas() == []
    batches = [platform.batch(batch_id) for batch_id in ids]
    assert {batch.state for batch in batches if batch} == {"published"}


def test_a_second_manifest_of_a_batch_id_with_other_content_never_runs(platform: Platform) -> None:
    platform.put("twice", {"wells.geojson": collection([point(1, 1, name="a")])}, dataset="places")
    (request,) = platform.requests()
    platform.put("twice", {"wells.geojson": collection([point(2, 2, name="b")])}, dataset="places")
    platform.requests()
    marker, batch = platform.marker("twice"), platform.batch("twice")
    assert marker
    assert "was seen before with other content" in marker["reasons"][0]
    assert batch
    assert batch.state == "accepted"
    assert request.run_key == "twice"


def _run(platform: Platform, run_id: str, batch_id: str) -> Any:
    dataset = Dataset("places", "Wells.", ("wells",), (), ("wells",), points="out_wells")
    work = Work(dataset, batch_id, run_id, platform.compute, platform.store, platform.ledger)
    stages.load(work)
    balances = stages.transform(work)
    stages.require_conservation(balances)
    return stages.export(work)


def test_a_store_that_overwrites_commits_is_refused_before_anything_is_done(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder's store, made to overwrite as a server does that does not know If-None-Match."""
    put = obstore.put
    platform.put("b-1", {"wells.geojson": collection([point(1, 1, name="a")])}, dataset="places")
    assert platform.requests()
    with monkeypatch.context() as changed:
        changed.setattr(obstore, "put", lambda store, key, data, **_: put(store, key, data))
        with pytest.raises(StageError, match="Nothing can be published safely: the object store overwrites"):
            _run(platform, "run-1", "b-1")
    assert platform.schemas() == []
    assert platform.published() == []
    assert _run(platform, "run-2", "b-1").commit.batch_id == "b-1"
