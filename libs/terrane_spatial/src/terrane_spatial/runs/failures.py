"""What surrounds a step: when it fails, the batch's state says so, the schema goes, and the error says what to do."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg

from terrane.object_store import LANDING_ZONE, StoreFull
from terrane_spatial.errors import BatchRejectedError, QuarantinedError, StageError, printable
from terrane_spatial.intake import landing_zone
from terrane_spatial.intake.ledger import Batch
from terrane_spatial.intake.manifest import manifest_key
from terrane_spatial.runs import run_schema
from terrane_spatial.runs.work import Work

NO_RETRIES = {"dagster/max_retries": "0"}
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
LOST_CONNECTION = ("08", "57P01", "57P02", "57P03")

log = logging.getLogger(__name__)


@contextmanager
def reported(work: Work, name: str, tag_run: Callable[[dict[str, str]], None]) -> Iterator[None]:
    """Runs a step's body.

    Args:
        tag_run: adds tags to the run; a rejected batch's run is not to be retried.

    Raises:
        dagster.Failure: with a message for people, whenever the cause is one they can do something about.
    """
    try:
        yield
    except BatchRejectedError as error:
        _clean_up(work, "rejected", error.reasons)
        tag_run(NO_RETRIES)
        raise dg.Failure(
            f"The batch is rejected: {error}. Nothing was published; {landing_zone.NEXT_STEP}.",
            allow_retries=False,
        ) from error
    except QuarantinedError as error:
        _clean_up(work, "quarantined", [printable(str(error))])
        tag_run(NO_RETRIES)
        raise dg.Failure(f"The batch is quarantined: {error}", allow_retries=False) from error
    except BaseException as error:
        _clean_up(work, "failed", [f"{name}: {_first_line(error)}"])
        if _is_lost_server(error):
            raise dg.Failure(
                f"Postgres at {work.postgres.host}:{work.postgres.port} could not be reached or went away during the "
                f"step {name}: {_first_line(error)}. The batch is unharmed: see that Postgres runs, "
                "then re-execute the run."
            ) from error
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise dg.Failure(
                f"The disk of the run was full in the step {name}: {_first_line(error)}. The batch is unharmed: "
                "give the run more room, then re-execute it."
            ) from error
        if isinstance(error, StageError | StoreFull):
            raise dg.Failure(str(error)) from error
        raise


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
    try:
        with work.ledger.open() as ledger:
            if not work.wanted:
                return ledger.of_runs(work.dataset.name, [work.run_id])
            batch = ledger.get(work.wanted)
            # A launch may name another dataset's batch, of which it changes nothing.
            return batch if batch and batch.dataset == work.dataset.name else None
    except Exception as error:
        log.warning("The ledger could not be asked which batch run %s works on: %s", work.run_id, error)
        return None


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
    return printable((str(error).strip().splitlines() or [type(error).__name__])[0])


def _is_lost_server(error: BaseException) -> bool:
    """Whether the connection failed, and not what was asked of it: no SQLSTATE, or one that says so."""
    import psycopg
    from adbc_driver_manager import Error

    if not isinstance(error, psycopg.OperationalError | Error):
        return False
    return (error.sqlstate or LOST_CONNECTION[0]).startswith(LOST_CONNECTION)
