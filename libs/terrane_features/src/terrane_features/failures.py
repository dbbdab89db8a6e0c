"""What a person reads when a store goes away under a run."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from terrane.postgres import PostgresResource
from terrane.store_advice import postgres_advice, redis_advice
from terrane_features.resources import FeastResource


@contextmanager
def explained(doing: str, left: str, warehouse: PostgresResource, feast: FeastResource) -> Iterator[None]:
    """Turns a lost connection into a failure that says what happened, where, and what to do next.

    Args:
        doing: what the block does, as `applying Feast's definitions`.
        left: what a failure leaves behind.
    """
    import psycopg
    from redis import RedisError
    from sqlalchemy.exc import InterfaceError, OperationalError

    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError, OperationalError, InterfaceError) as error:
        where = f"Postgres at {warehouse.host}:{warehouse.port}, database {warehouse.database}"
        advice = postgres_advice(str(error), warehouse.variables or "WAREHOUSE")
        raise _failure(where, doing, left, error, advice) from error
    except RedisError as error:
        raise _failure(str(feast.online_store()), doing, left, error, redis_advice(str(error))) from error


def _failure(where: str, doing: str, left: str, error: Exception, advice: str) -> dg.Failure:
    first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    what_to_do = f"See {advice}" if advice else "See that it is up"
    return dg.Failure(
        f"{where} failed while {doing}: {first_line}. {left} {what_to_do}, then re-execute this run.",
        metadata={"error": f"{type(error).__module__}.{type(error).__qualname__}"},
    )
