"""What surrounds a stage: when it fails, the batch's state says so, the schema goes, and the error says what to do.

What is temporary is tried again by Dagster, with the schema and the batch's state as they are; only the last try, and
what is permanent, ends the batch's run.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg

from terrane.errors import is_of_a_store, is_temporary, message_of
from terrane.object_store import LANDING_ZONE, StoreFull
from terrane_spatial.errors import BatchRejectedError, QuarantinedError, StageError, printable
from terrane_spatial.intake import landing_zone
from terrane_spatial.intake.ledger import Batch
from terrane_spatial.intake.manifest import manifest_key
from terrane_spatial.runs import run_schema
from terrane_spatial.runs.work import Work
from terrane_spatial.sandbox.endings import FileCrashedError

NO_RETRIES = {"dagster/max_retries": "0"}
# Dagster's daemon launches it, where the instance has run_retries, as a cluster's and a laptop's have.
ONE_MORE_RUN = {"dagster/max_retries": "1", "dagster/retry_on_asset_or_op_failure": "true"}
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
DATABASES = ("psycopg", "adbc_driver")

log = logging.getLogger(__name__)


@contextmanager
def reported(work: Work, name: str) -> Iterator[None]:
    """Runs a stage's body.

    Raises:
        dagster.Failure: with a message for people, which says to Dagster whether to try again.
    """
    try:
        yield
    except BatchRejectedError as error:
        _clean_up(work, "rejected", error.reasons)
        work.tag(NO_RETRIES)
        raise dg.Failure(
            f"The batch is rejected: {error}. Nothing was published; {landing_zone.NEXT_STEP}.",
            allow_retries=False,
        ) from error
    except QuarantinedError as error:
        _clean_up(work, "quarantined", [printable(str(error))])
        work.tag(NO_RETRIES)
        raise dg.Failure(f"The batch is quarantined: {error}", allow_retries=False) from error
    except FileCrashedError as error:
        raise _crashed(work, error) from error
    except Exception as error:
        again = is_temporary(error) and work.tries_left > 0
        if not again:
            _clean_up(work, "failed", [f"{name}: {_first_line(error)}"])
        raise dg.Failure(_said(work, name, error), allow_retries=again) from error
    except BaseException as error:
        _clean_up(work, "failed", [f"{name}: {_first_line(error)}"])
        raise


def _crashed(work: Work, error: FileCrashedError) -> dg.Failure:
    """The batch is tried once more by a fresh run; it is quarantined when it was so in an earlier run already."""
    first = _first_crash(work)
    if first == work.run_id:
        _clean_up(work, "failed", [_first_line(error)])
        work.tag(ONE_MORE_RUN)
        return dg.Failure(
            f"{error}. The batch is tried once more by a run of its own, and quarantined when that ends so too",
            allow_retries=False,
        )
    reason = (
        f"{_first_line(error)}; and so it was in run {first}. Once somebody has looked at the file, launch the batch "
        "with lift_quarantine: true in the configuration of its first op"
    )
    _clean_up(work, "quarantined", [printable(reason)])
    work.tag(NO_RETRIES)
    return dg.Failure(f"The batch is quarantined: {reason}", allow_retries=False)


def _first_crash(work: Work) -> str:
    """The first run in which the batch ended its process: this one, where the ledger cannot be asked."""
    try:
        with work.ledger.open() as ledger:
            return ledger.crashed(work.batch_id, work.run_id)
    except Exception as error:
        log.warning("The ledger could not be told that %s ended its process: %s", work.batch_id, error)
        return work.run_id


def _said(work: Work, name: str, error: Exception) -> str:
    if isinstance(error, StageError | StoreFull):
        return str(error)
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return (
            f"The disk of the run was full in the step {name}: {_first_line(error)}. The batch is unharmed: "
            "give the run more room, then re-execute it."
        )
    if is_temporary(error) and type(error).__module__.startswith(DATABASES):
        return (
            f"Postgres at {work.postgres.host}:{work.postgres.port} could not be reached, went away or had no room "
            f"during the step {name}: {_first_line(error)}. The batch is unharmed: see that Postgres runs, "
            "then re-execute the run."
        )
    return f"{type(error).__name__} in the step {name}: {_first_line(error)}"


def _clean_up(work: Work, state: str, reasons: list[str]) -> None:
    """Leaves the stores as the end of a failed run should; what cannot be done now is the sweeper's."""
    batch = _batch(work)
    run_schema.drop_quietly(work.postgres, work.run_id)
    if batch is None:
        return
    if state == "rejected" and batch.state in ("accepted", "failed"):
        _quietly(lambda: _mark(work, batch, reasons))
    _quietly(lambda: _end(work, batch.batch_id, state, reasons))


def _batch(work: Work) -> Batch | None:
    """The run's batch; None for another dataset's, of which a launch that names it changes nothing."""
    try:
        with work.ledger.open() as ledger:
            batch = ledger.get(work.batch_id)
    except Exception as error:
        log.warning("The ledger could not be asked for %s, the batch of run %s: %s", work.batch_id, work.run_id, error)
        return None
    return batch if batch and batch.dataset == work.dataset.name else None


def _mark(work: Work, batch: Batch, reasons: list[str]) -> None:
    landing_zone.write_marker(
        work.store.bucket(LANDING_ZONE), manifest_key(batch.batch_id), batch.manifest_sha256, reasons
    )


def _end(work: Work, batch_id: str, state: str, reasons: list[str]) -> None:
    with work.ledger.open() as ledger:
        ledger.end(batch_id, state, reasons)


def _quietly(action: Callable[[], None]) -> None:
    try:
        action()
    except Exception as error:
        log.warning("Left for later, because the run fails for another reason: %s", error)


def _first_line(error: BaseException) -> str:
    """What the error says, without the values of rows that a driver quotes."""
    text = message_of(error) if is_of_a_store(error) else (str(error).strip().splitlines() or [type(error).__name__])[0]
    return printable(text)
