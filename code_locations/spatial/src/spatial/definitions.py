"""The table of contents of the location: what `defs/` holds, its resources, its executor."""

from pathlib import Path

import dagster as dg

from terrane.definitions import load_definitions
from terrane.executors import executor_from_env
from terrane.object_store import ObjectStoreResource
from terrane.policies import ping_job
from terrane.postgres import PostgresResource
from terrane_spatial.intake.ledger import LedgerResource


@dg.definitions
def defs() -> dg.Definitions:
    return load_definitions(
        Path(__file__).parent,
        dg.Definitions(
            jobs=[ping_job()],
            resources={
                "store": ObjectStoreResource.from_env(),
                "compute": PostgresResource.from_env("POSTGRES"),
                "ledger": LedgerResource.from_env("POSTGRES", database="LEDGER_DB"),
            },
            executor=executor_from_env(),
        ),
    )
