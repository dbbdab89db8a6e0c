"""Records of attempts to publish: written before anything else of an attempt, deleted when all of it is done.

What they name is what readers and `collect` have to look at beside the pointer: few, whatever was published before.

obstore is imported where it is used: definitions import this module, and start 0.1 s sooner without it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from terrane.object_store import put

if TYPE_CHECKING:
    from terrane.object_store import Bucket

TOKEN_LENGTH = 32


@dataclass(frozen=True)
class Attempt:
    """An attempt at a batch. `token` is 32 hexadecimal digits of its own."""

    dataset: str
    batch_id: str
    token: str
    begun_at: datetime

    @property
    def key(self) -> str:
        return f"{attempts_prefix(self.dataset)}{self.token}-{self.batch_id}.json"

    @property
    def folder(self) -> str:
        """What its data objects' keys begin with."""
        return f"{self.dataset}/{self.batch_id}/{self.token}/"

    def record(self, lake: Bucket, run_id: str) -> None:
        said = {"batch_id": self.batch_id, "run_id": run_id, "begun_at": self.begun_at.isoformat()}
        put(lake, self.key, json.dumps(said).encode())

    def remove_record(self, lake: Bucket) -> None:
        """Deletes the record, if it is there."""
        delete(lake, [self.key])

    def remove_objects(self, lake: Bucket) -> int:
        """Deletes its data objects; returns how many there were."""
        import obstore

        keys = [str(entry["path"]) for page in obstore.list(lake, prefix=self.folder) for entry in page]
        delete(lake, keys)
        return len(keys)


def attempts_prefix(dataset: str) -> str:
    return f"{dataset}/_attempts/"


def list_attempts(lake: Bucket, dataset: str) -> list[Attempt]:
    """Attempts that are under way or died, by when their record was written. Costs one listing of these alone."""
    import obstore

    found = []
    for page in obstore.list(lake, prefix=attempts_prefix(dataset)):
        for entry in page:
            name = str(entry["path"]).rsplit("/", 1)[1].removesuffix(".json")
            token, batch_id = name[:TOKEN_LENGTH], name[TOKEN_LENGTH + 1 :]
            found.append(Attempt(dataset, batch_id, token, entry["last_modified"].astimezone(UTC)))
    return sorted(found, key=lambda a: (a.begun_at, a.token))


def delete(lake: Bucket, keys: list[str]) -> None:
    """Deletes objects; one that is gone already is no error."""
    import obstore

    for key in keys:
        try:
            obstore.delete(lake, key)
        except FileNotFoundError:
            continue
