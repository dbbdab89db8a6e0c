"""Putting the sample batch into the landing zone, the way a producer does: the files first, the manifest last."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError

if TYPE_CHECKING:
    from terrane.object_store import Bucket

DATASET = "places"
FILES = ("countries.gpkg", "places.zip")


@dataclass(frozen=True)
class Delivery:
    """A batch in the landing zone."""

    batch_id: str
    manifest_key: str
    files: int
    size: int
    is_new: bool


def deliver(landing_zone: Bucket, folder: Path) -> Delivery:
    """Uploads the sample batch, unless it is there.

    The batch's id is made from the content of its files, so the same files are the same batch for ever.
    """
    contents = {name: (folder / name).read_bytes() for name in FILES}
    digest = hashlib.sha256(b"".join(hashlib.sha256(c).digest() for c in contents.values())).hexdigest()
    batch_id = f"natural-earth-{digest[:8]}"
    manifest_key = f"manifests/{batch_id}.json"
    files = [
        {"key": f"batches/{batch_id}/{name}", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in contents.items()
    ]
    for file, content in zip(files, contents.values(), strict=True):
        obstore.put(landing_zone, str(file["key"]), content)
    manifest = {"version": 1, "batch_id": batch_id, "dataset": DATASET, "files": files}
    try:
        # A manifest that was decided lies there.
        obstore.head(landing_zone, f"manifests/decided/{batch_id}.json")
        is_new = False
    except FileNotFoundError:
        is_new = _put_new(landing_zone, manifest_key, json.dumps(manifest, indent=2).encode())
    return Delivery(batch_id, manifest_key, len(files), sum(map(len, contents.values())), is_new)


def _put_new(landing_zone: Bucket, key: str, content: bytes) -> bool:
    """Puts the object unless there is one; returns whether there was none."""
    try:
        obstore.put(landing_zone, key, content, mode="create")
    except AlreadyExistsError:
        return False
    return True


def rejection(landing_zone: Bucket, delivery: Delivery) -> str | None:
    """The reasons for which the batch was rejected, or None."""
    key = delivery.manifest_key.removesuffix(".json") + ".rejected.json"
    try:
        text = bytes(obstore.get(landing_zone, key).bytes()).decode()
    except FileNotFoundError:
        return None
    reasons = json.loads(text).get("reasons", text)
    return "; ".join(reasons) if isinstance(reasons, list) else str(reasons)
