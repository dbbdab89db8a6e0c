"""Taking manifests in: each is looked at, accepted into the ledger or rejected for good, and moved out of the way.

One manifest never holds up another: whatever it makes us raise is caught for it alone, tried again with back-off, and
at last set aside with its reason, until it is written again. A look costs what is new: the manifests that lie below
`manifests/` and are not decided, and markers of the last 30 days.

psycopg is imported where it is used: definitions import this module, and start 0.1 s sooner without it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from terrane_spatial.errors import BatchRejectedError, printable
from terrane_spatial.intake import landing_zone
from terrane_spatial.intake.declared import is_left
from terrane_spatial.intake.ledger import Arrival, Batch, Ledger
from terrane_spatial.intake.manifest import BATCH_ID, MAX_MANIFEST_BYTES, Manifest, batch_id_of, parse

if TYPE_CHECKING:
    from terrane.object_store import Bucket

# A batch that lands during a look is taken in by the next, and its run asked for when that ends: both looks together,
# with their reports, stay below the minute that another dataset's batch may wait beside a flood.
BUDGET_S = 12.0
CHUNK = 64
AT_ONCE = 8
# A manifest that was read whole is kept whole; of one that is none, enough to see what it was.
MAX_REJECTED_CHARS = 65_536

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Desk:
    """Where manifests are taken in: the landing zone, the ledger, and the datasets whose manifests are decided here."""

    landing: Bucket
    ledger: Ledger
    datasets: Collection[str]


@dataclass
class Intake:
    """What one look at the landing zone brought.

    Attributes:
        accepted: batch ids seen for the first time and found good.
        rejected: batch id to reasons, of those found bad.
        put_off: manifest's key to reason, of those that could not be decided and are tried again.
        set_aside: the same of those that are not tried again until they are written anew.
        waiting: the same of those whose dataset no running location declares.
        left: manifests that the time did not suffice for.
    """

    accepted: list[str] = field(default_factory=list)
    rejected: dict[str, list[str]] = field(default_factory=dict)
    put_off: dict[str, str] = field(default_factory=dict)
    set_aside: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    left: int = 0


@dataclass(frozen=True)
class _Seen:
    """A manifest that was looked at. `reasons` are against it; `manifest` is None when it is none.

    `elsewhere` is set of one that is of no dataset of this location.
    """

    found: landing_zone.ManifestObject
    text: str
    sha256: str
    manifest: Manifest | None
    reasons: list[str]
    elsewhere: bool = False


_Looks = dict[landing_zone.ManifestObject, _Seen | None]
_Errors = dict[landing_zone.ManifestObject, Exception]


def take_in(desk: Desk, budget_s: float = BUDGET_S) -> Intake:
    """Decides the manifests that are new, as many as the time suffices for, and at least some.

    Raises what the ledger or the listing of the landing zone raises; nothing that one manifest is the cause of.
    """
    begun, intake = time.monotonic(), Intake()
    listing = landing_zone.list_new(desk.landing)
    keys = [m.key for m in listing.manifests]
    put_off, elsewhere = (desk.ledger.put_off(keys), desk.ledger.elsewhere(keys)) if keys else ({}, {})
    looked_at = [m for m in listing.manifests if put_off.get(m.key) != m.etag]
    left = {m.key for m in looked_at if is_left(elsewhere, m.key, m.etag, desk.datasets)}
    intake.waiting = {key: elsewhere[key].reason for key in sorted(left) if not elsewhere[key].running}
    due = _first_and_last(m for m in looked_at if m.key not in left)
    with ThreadPoolExecutor(AT_ONCE, "intake") as pool:
        for at in range(0, len(due), CHUNK):
            if at and time.monotonic() - begun > budget_s:
                intake.left = len(due) - at
                break
            _decide(desk, pool, due[at : at + CHUNK], intake)
        _each(pool, listing.old_markers, lambda key: landing_zone.move(desk.landing, key))
        _each(pool, listing.old_notes, lambda key: landing_zone.remove_note(desk.landing, key))
    return intake


def _first_and_last(found: Iterable[landing_zone.ManifestObject]) -> list[landing_zone.ManifestObject]:
    """By the time they were written, the first and the last in turn.

    So what came first is not forgotten, and what came last does not wait until a flood before it is taken in.
    """
    ordered = sorted(found, key=lambda manifest: (manifest.written_at, manifest.key))
    half = (len(ordered) + 1) // 2
    first, last = ordered[:half], ordered[half:][::-1]
    turns = [manifest for pair in zip(first, last, strict=False) for manifest in pair]
    return turns + first[len(last) :]


def _decide(desk: Desk, pool: ThreadPoolExecutor, found: list[landing_zone.ManifestObject], intake: Intake) -> None:
    """Looks at the manifests in parallel, enters each into the ledger, then answers and moves each, in parallel."""
    known = desk.ledger.known([batch_id_of(m.key) for m in found])
    seen, failed = _each(pool, found, lambda m: _look(desk, m, known.get(batch_id_of(m.key))))
    left = _left(desk, seen, failed, intake)
    entered = _enter_all(desk, {m: look for m, look in seen.items() if m not in left}, known, failed, intake)
    _, unanswered = _each(pool, entered, lambda m: _answer(desk.landing, m, *entered[m]))
    for manifest, error in {**failed, **unanswered}.items():
        _put_off(desk.ledger, manifest, error, intake)
    desk.ledger.decided([m.key for m in entered if m not in unanswered])


def _left(desk: Desk, seen: _Looks, failed: _Errors, intake: Intake) -> set[landing_zone.ManifestObject]:
    """Those that stay for another location, or could not be told so, which are among those that failed then."""
    left = set()
    for manifest, look in seen.items():
        try:
            if look and look.elsewhere and _leave(desk, look, intake):
                left.add(manifest)
        except Exception as error:
            _raise_if_lost(error)
            failed[manifest] = error
            left.add(manifest)
    return left


def _enter_all(
    desk: Desk, seen: _Looks, known: dict[str, Batch], failed: _Errors, intake: Intake
) -> dict[landing_zone.ManifestObject, tuple[_Seen | None, list[str]]]:
    """Brings the ledger up to all that was seen; of each what it was, and the reasons against it.

    In one transaction, whose end is the one wait for the disk, with a savepoint for each: one that fails takes none
    along.
    """
    entered = {}
    with desk.ledger.transaction():
        for manifest, look in seen.items():
            try:
                with desk.ledger.transaction():
                    reasons = _enter(desk, look, known.get(batch_id_of(manifest.key)), intake) if look else []
            except Exception as error:
                _raise_if_lost(error)
                failed[manifest] = error
            else:
                entered[manifest] = (look, reasons)
    return entered


def _look(desk: Desk, found: landing_zone.ManifestObject, known: Batch | None) -> _Seen | None:
    """Reads and judges the manifest; None for one that is gone, or was answered already."""
    if found.marked:
        return None
    try:
        # Of a manifest too large, only so much is read as shows that it is.
        content = landing_zone.read(desk.landing, found, MAX_MANIFEST_BYTES + 1)
    except FileNotFoundError:
        return None
    text, sha256 = content.decode("utf-8", errors="replace"), hashlib.sha256(content).hexdigest()
    if known:
        return _Seen(found, text, sha256, None, [])
    try:
        manifest = parse(found.key, content)
    except BatchRejectedError as error:
        return _Seen(found, text, sha256, None, error.reasons)
    reasons = landing_zone.missing_files(desk.landing, manifest)
    told = BatchRejectedError(reasons).reasons if reasons else []
    return _Seen(found, text, sha256, manifest, told, elsewhere=manifest.dataset not in desk.datasets)


def _leave(desk: Desk, seen: _Seen, intake: Intake) -> bool:
    """Whether the manifest stays for the location that declares its dataset; if not, it has reasons now."""
    assert seen.manifest
    waits = desk.ledger.note_elsewhere(seen.found.key, seen.found.etag, seen.manifest.dataset)
    if waits.is_refused:
        seen.reasons.insert(0, waits.reason)
        return False
    if not waits.running:
        intake.waiting[seen.found.key] = waits.reason
        landing_zone.write_note(desk.landing, seen.found.key, seen.sha256, waits.reason)
    return True


def _enter(desk: Desk, seen: _Seen, known: Batch | None, intake: Intake) -> list[str]:
    """Brings the ledger up to what was seen; returns the reasons that the producer is to be told."""
    batch_id = batch_id_of(seen.found.key)
    if known:
        return _compare(desk.ledger, known, seen, intake)
    text = seen.text if seen.manifest and not seen.reasons else seen.text[:MAX_REJECTED_CHARS]
    arrival = Arrival(batch_id, text, seen.sha256, seen.found.etag, seen.found.written_at)
    if seen.reasons or seen.manifest is None:
        if BATCH_ID.match(batch_id):
            desk.ledger.reject_manifest(arrival, seen.reasons)
        intake.rejected[batch_id] = seen.reasons
        return seen.reasons
    if desk.ledger.accept(arrival, seen.manifest.dataset):
        intake.accepted.append(batch_id)
    return []


def _compare(ledger: Ledger, known: Batch, seen: _Seen, intake: Intake) -> list[str]:
    """A manifest of a known batch: the same content is no news, other content is refused."""
    if seen.sha256 == known.manifest_sha256:
        ledger.looked_again(known.batch_id, seen.found.etag)
        return known.reasons if known.state == "rejected" else []
    reason = (
        f"batch_id: {known.batch_id} was seen before with other content, and is {known.state} "
        f"(SHA-256 {known.manifest_sha256}, now {seen.sha256}); a batch_id is given once, for ever"
    )
    ledger.looked_again(known.batch_id, seen.found.etag, [reason])
    intake.rejected[known.batch_id] = [reason]
    return [reason]


def _answer(landing: Bucket, found: landing_zone.ManifestObject, seen: _Seen | None, reasons: list[str]) -> None:
    """Tells the producer what is wrong, if anything is, and moves the manifest out of what is listed."""
    if seen and reasons:
        landing_zone.write_marker(landing, found.key, seen.sha256, reasons)
    landing_zone.move(landing, found.key, found.etag, again=found.marked)


def _put_off(ledger: Ledger, found: landing_zone.ManifestObject, error: Exception, intake: Intake) -> None:
    reason = printable(f"{type(error).__name__}: {error}")
    for_good = ledger.put_off_again(found.key, found.etag, reason)
    (intake.set_aside if for_good else intake.put_off)[found.key] = reason


def _each(
    pool: ThreadPoolExecutor, items: Iterable[Item], work: Callable[[Item], Result]
) -> tuple[dict[Item, Result], dict[Item, Exception]]:
    """What the work returned of each item, and what it raised."""
    futures = {item: pool.submit(work, item) for item in items}
    done: dict[Item, Result] = {}
    failed: dict[Item, Exception] = {}
    for item, future in futures.items():
        try:
            done[item] = future.result()
        except Exception as error:
            failed[item] = error
    return done, failed


def _raise_if_lost(error: Exception) -> None:
    """A ledger that went away is no fault of a manifest."""
    import psycopg

    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        raise error
