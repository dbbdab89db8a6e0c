"""The features location's table of contents."""

from pathlib import Path

import dagster as dg

from terrane.definitions import load_definitions
from terrane.executors import executor_from_env
from terrane.object_store import ObjectStoreResource
from terrane.policies import ping_job
from terrane.postgres import PostgresResource
from terrane_features.resources import FeastResource, FeatureServer


@dg.definitions
def defs() -> dg.Definitions:
    return load_definitions(
        Path(__file__).parent,
        dg.Definitions(
            jobs=[ping_job()],
            executor=executor_from_env(),
            resources={
                "feast": FeastResource(repo_path=dg.EnvVar("FEAST_REPO_PATH")),
                "warehouse": PostgresResource.from_env("WAREHOUSE"),
                "feature_server": FeatureServer.from_env(),
                "object_store": ObjectStoreResource.from_env(),
            },
        ),
    )
