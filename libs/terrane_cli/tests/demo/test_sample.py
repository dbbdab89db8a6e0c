"""The batch is delivered as a producer does it: files first, the manifest last, and once."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import obstore
import pytest
from obstore.store import LocalStore

from terrane_cli.demo.sample import FILES, deliver, rejection

pytestmark = pytest.mark.unit


@pytest.fixture
def landing_zone(tmp_path: Path) -> LocalStore:
    return LocalStore(prefix=tmp_path / "landing-zone", mkdir=True)


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).write_bytes(name.encode() * 10)
    return tmp_path


def test_the_manifest_says_what_the_files_are(landing_zone: LocalStore, batch: Path) -> None:
    delivery = deliver(landing_zone, batch)
    manifest = json.loads(bytes(obstore.get(landing_zone, delivery.manifest_key).bytes()))
    assert (manifest["version"], manifest["dataset"], manifest["batch_id"]) == (1, "places", delivery.batch_id)
    for file in manifest["files"]:
        content = bytes(obstore.get(landing_zone, file["key"]).bytes())
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file["size"], file["sha256"])


def test_the_same_files_are_the_same_batch(landing_zone: LocalStore, batch: Path) -> None:
    first, second = deliver(landing_zone, batch), deliver(landing_zone, batch)
    assert (first.is_new, second.is_new) == (True, False)
    assert first.batch_id == second.batch_id


def test_other_files_are_another_batch(landing_zone: LocalStore, batch: Path) -> None:
    first = deliver(landing_zone, batch)
    (batch / FILES[0]).write_bytes(b"corrected")
    assert deliver(landing_zone, batch).batch_id != first.batch_id


def test_a_rejection_is_read_with_its_reasons(landing_zone: LocalStore, batch: Path) -> None:
    delivery = deliver(landing_zone, batch)
    assert rejection(landing_zone, delivery) is None
    marker = delivery.manifest_key.replace(".json", ".rejected.json")
    obstore.put(landing_zone, marker, json.dumps({"reasons": ["no CRS", "no features"]}).encode())
    assert rejection(landing_zone, delivery) == "no CRS; no features"
