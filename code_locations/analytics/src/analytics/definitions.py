"""The location's table of contents: what is in defs/, and the resources it runs with."""

from pathlib import Path

import dagster as dg

from analytics.resources import SourceApiResource
from terrane.definitions import load_definitions
from terrane.executors import executor_from_env
from terrane.object_store import ObjectStoreResource
from terrane.policies import automation_sensor, ping_job
from terrane.postgres import PostgresResource


@dg.definitions
def defs() -> dg.Definitions:
    return load_definitions(
        Path(__file__).parent,
        dg.Definitions(
            jobs=[ping_job()],
            resources={
                "object_store": ObjectStoreResource.from_env(),
                "source_api": SourceApiResource.from_env(),
                "warehouse": PostgresResource.from_env("WAREHOUSE"),
            },
            sensors=[automation_sensor("analytics")],
            executor=executor_from_env(),
        ),
    )
