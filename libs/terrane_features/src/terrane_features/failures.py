"""What a person reads when a store goes away under a run, or refuses what the run asks of it."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from terrane.errors import Permanent, Temporary, is_of_a_store, is_temporary, message_of
from terrane.postgres import PostgresResource
from terrane.store_advice import postgres_advice, redis_advice
from terrane_features.resources import FeastResource

ADVICE = {
    True: "See that it is up, then re-execute this run.",
    False: "No retry mends that: compare the table with what the definitions ask of it, then re-execute this run.",
}


@contextmanager
def explained(doing: str, left: str, warehouse: PostgresResource, feast: FeastResource) -> Iterator[None]:
    """Turns an error of a store into a failure that says what happened, where, what to do, and whether to try again.

    Args:
        doing: what the block does, as `applying Feast's definitions`.
        left: what a failure leaves behind.
    """
    try:
        yield
    except (dg.Failure, Temporary, Permanent):
        raise
    except Exception as error:
        if not is_of_a_store(error):
            raise
        redis = type(error).__module__.startswith("redis")
        postgres = f"Postgres at {warehouse.host}:{warehouse.port}, database {warehouse.database}"
        advice = redis_advice(str(error)) if redis else postgres_advice(str(error), warehouse.variables or "WAREHOUSE")
        temporary = is_temporary(error)
        raise dg.Failure(
            f"{str(feast.online_store()) if redis else postgres} failed while {doing}: {message_of(error)}. {left} "
            f"{f'See {advice}, then re-execute this run.' if advice else ADVICE[temporary]}",
            metadata={"error": f"{type(error).__module__}.{type(error).__qualname__}"},
            allow_retries=temporary,
        ) from error
