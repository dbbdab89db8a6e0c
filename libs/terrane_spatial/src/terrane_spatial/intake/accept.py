"""Taking manifests in: each is looked at once, and is accepted or rejected for good."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.intake import landing_zone
from terrane_spatial.intake.ledger import Batch, Ledger
from terrane_spatial.intake.manifest import BATCH_ID, MAX_MANIFEST_BYTES, Manifest, batch_id_of, parse

if TYPE_CHECKING:
    from terrane.object_store import Bucket

MAX_MANIFESTS = 50
# A manifest that was read whole is kept whole; of one that is none, enough to see what it was.
MAX_REJECTED_CHARS = 65_536


@dataclass
class Intake:
    """What one look at the landing zone brought.

    Attributes:
        accepted: manifests seen for the first time and found good.
        rejected: batch_id to reasons, of those found bad.
        waiting: accepted batches no run works on yet, the newly accepted among them.
        digest: of the listing, when nothing is left to do about it.
    """

    accepted: list[Manifest] = field(default_factory=list)
    rejected: dict[str, list[str]] = field(default_factory=dict)
    waiting: list[Batch] = field(default_factory=list)
    digest: str | None = None


def listing_digest(manifests: list[landing_zone.ManifestObject]) -> str:
    """Changes whenever a manifest comes, goes or is written again."""
    text = "\n".join(f"{m.key} {m.etag}" for m in manifests)
    return hashlib.sha256(text.encode()).hexdigest()


def take_in(
    landing: Bucket,
    ledger: Ledger,
    datasets: Collection[str],
    manifests: list[landing_zone.ManifestObject],
    run_of: Callable[[str], str | None],
    limit: int = MAX_MANIFESTS,
) -> Intake:
    """Looks at the manifests the ledger does not know as they are now, at most `limit` of them.

    Args:
        run_of: the id of the run that was launched for a batch_id, if any was.
    """
    intake, seen = Intake(), ledger.etags()
    new = [m for m in manifests if batch_id_of(m.key) not in seen or seen[batch_id_of(m.key)] != m.etag]
    for found in new[:limit]:
        _look_at(landing, ledger, datasets, found, intake)
    for batch in ledger.waiting():
        if run_id := run_of(batch.batch_id):
            ledger.assign(batch.batch_id, run_id)
        else:
            intake.waiting.append(batch)
    if len(new) <= limit and not intake.waiting:
        intake.digest = listing_digest(manifests)
    return intake


def _look_at(
    landing: Bucket, ledger: Ledger, datasets: Collection[str], found: landing_zone.ManifestObject, intake: Intake
) -> None:
    try:
        # Of a manifest too large, only so much is read as shows that it is.
        content = landing_zone.read(landing, found.key, MAX_MANIFEST_BYTES + 1)
    except FileNotFoundError:
        return
    batch_id, sha256 = batch_id_of(found.key), hashlib.sha256(content).hexdigest()
    known = ledger.get(batch_id)
    if known:
        _compare(landing, ledger, known, found, sha256, intake)
        return
    text = content.decode("utf-8", errors="replace")
    try:
        manifest = parse(found.key, content)
        reasons = _unknown_dataset(manifest, datasets) or landing_zone.missing_files(landing, manifest)
        if reasons:
            raise BatchRejectedError(reasons)
    except BatchRejectedError as error:
        landing_zone.write_marker(landing, found.key, sha256, error.reasons)
        if BATCH_ID.match(batch_id):
            ledger.reject_manifest(batch_id, text[:MAX_REJECTED_CHARS], sha256, found.etag, error.reasons)
        intake.rejected[batch_id] = error.reasons
        return
    if ledger.accept(batch_id, manifest.dataset, text, sha256, found.etag):
        intake.accepted.append(manifest)


def _compare(
    landing: Bucket, ledger: Ledger, known: Batch, found: landing_zone.ManifestObject, sha256: str, intake: Intake
) -> None:
    """A manifest of a known batch was written again: the same content is no news, other content is refused."""
    if sha256 == known.manifest_sha256:
        if known.state == "rejected":
            landing_zone.write_marker(landing, found.key, sha256, known.reasons)
        ledger.looked_again(known.batch_id, found.etag)
        return
    reason = (
        f"batch_id: {known.batch_id} was seen before with other content, and is {known.state} "
        f"(SHA-256 {known.manifest_sha256}, now {sha256}); a batch_id is given once, for ever"
    )
    landing_zone.write_marker(landing, found.key, sha256, [reason])
    ledger.looked_again(known.batch_id, found.etag, [reason])
    intake.rejected[known.batch_id] = [reason]


def _unknown_dataset(manifest: Manifest, datasets: Collection[str]) -> list[str]:
    if manifest.dataset in datasets:
        return []
    return [f"dataset: there is no dataset {manifest.dataset!r}; expected one of {', '.join(sorted(datasets))}"]
