"""Keeps a connection to Dagster's Postgres for as long as a step writes many events into it.

Dagster's storages open one for every use, which with a password costs both sides some milliseconds of processor time:
four times for each check of a table. `_engine` and `_token_provider` are names of theirs that a test holds to the
installed release; a storage without them is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any

import dagster as dg
import sqlalchemy

# What one process asks at the same time beyond that is a thread's or two.
MORE_AT_ONCE = 10
# Of the storage, about its schema.
QUESTIONS = ("has_table", "has_asset_key_col")


@contextmanager
def kept_connections(instance: dg.DagsterInstance) -> Iterator[None]:
    """Runs and events of the instance go through one kept connection each, where they are in Postgres.

    One that was cut is replaced before its next use, as Dagster replaces each of its own. Which tables and columns
    there are is asked once, and not for each event.
    """
    with ExitStack() as stack:
        for storage in (instance.event_log_storage, instance.run_storage):
            stack.enter_context(_kept(storage))
        yield


@contextmanager
def _kept(storage: Any) -> Iterator[None]:
    own = getattr(storage, "_engine", None)
    # Who logs in by tokens has a hook on the engine that makes them.
    if own is None or own.dialect.name != "postgresql" or getattr(storage, "_token_provider", None) is not None:
        yield
        return
    storage._engine = sqlalchemy.create_engine(
        own.url, isolation_level="AUTOCOMMIT", pool_size=1, max_overflow=MORE_AT_ONCE, pool_pre_ping=True
    )
    asked = [name for name in QUESTIONS if callable(getattr(storage, name, None))]
    for name in asked:
        setattr(storage, name, lru_cache(getattr(storage, name)))
    try:
        yield
    finally:
        for name in asked:
            delattr(storage, name)
        kept, storage._engine = storage._engine, own
        kept.dispose()
