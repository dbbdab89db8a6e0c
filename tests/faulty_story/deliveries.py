"""The sample's files under a batch_id of one's own."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import obstore

from terrane_cli.demo.sample import DATASET, FILES

if TYPE_CHECKING:
    from terrane.object_store import Bucket


def deliver_as(landing_zone: Bucket, samples: Path, batch_id: str) -> None:
    """Puts the files there, and the manifest last, as a producer does."""
    files = []
    for name in FILES:
        content, key = (samples / name).read_bytes(), f"batches/{batch_id}/{name}"
        obstore.put(landing_zone, key, content)
        files.append({"key": key, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()})
    manifest = {"version": 1, "batch_id": batch_id, "dataset": DATASET, "files": files}
    obstore.put(landing_zone, f"manifests/{batch_id}.json", json.dumps(manifest).encode())
