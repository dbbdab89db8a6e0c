"""A training set as an asset: a YAML file names a feature service and the rows to join it to."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg

from terrane.automation.proof import refuse_unproved
from terrane.errors import as_failures
from terrane.object_store import DATA_LAKE, ObjectStoreResource
from terrane.ownership import ownership
from terrane.policies import asset_defaults
from terrane.postgres import PostgresResource
from terrane.publishing import commit_key, publish
from terrane_features.components.lineage import REGISTRY, Lineage, source_keys
from terrane_features.components.scaffolding import TrainingSetScaffolder
from terrane_features.repository.model import FeatureView
from terrane_features.repository.read import REPOSITORY_VARIABLE, locate, read_repository
from terrane_features.resources import FeastResource
from terrane_features.training.entities import clean
from terrane_features.training.failures import EntitiesRefused, NoSuchService, NotJoined
from terrane_features.training.options import JoinOptions
from terrane_features.training.point_in_time import write_training_set

FILE = "rows.parquet"


@dg.scaffold_with(TrainingSetScaffolder)
@dataclass
class TrainingSet(dg.Component, dg.Resolvable):
    """The asset `training_sets/<name>`: Parquet in the lake, a published batch a run, made when somebody asks.

    Attributes:
        name: of the asset, and of the dataset in the lake.
        feature_service: whose features are joined.
        entities: SQL of the warehouse with the join keys, `event_timestamp` (timestamptz) and, say, a label; `{gold}`
            is that schema of the environment.
        repository: the folder with feature_store.yaml, where the variable does not name another.
        variable: that may name another folder; empty where none may.
        registry: the second level of the registry's key.
        deps: assets that the query reads, as `gold/labels`.
        full_feature_names: call a feature `<view>__<feature>`, for services in which two views share a name.
        known_at_the_time: leave out what was written only after a row's moment; without it, later corrections leak in.
    """

    name: str
    feature_service: str
    entities: str
    repository: str
    variable: str = REPOSITORY_VARIABLE
    registry: str = REGISTRY
    description: str = ""
    deps: list[str] = field(default_factory=list)
    full_feature_names: bool = False
    known_at_the_time: bool = True

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        repository = read_repository(locate(Path(self.repository), self.variable))
        service = repository.service(self.feature_service)
        lineage = Lineage(ownership(Path(context.project_root)), self.registry)
        return dg.Definitions(assets=[self._asset([repository.view(name) for name in service.views], lineage)])

    def _asset(self, views: list[FeatureView], lineage: Lineage) -> dg.AssetsDefinition:
        read = {dg.AssetKey(dep.split("/")) for dep in self.deps} | {key for view in views for key in source_keys(view)}

        @dg.asset(
            key=["training_sets", self.name],
            deps=sorted({lineage.registry_key, *read}),
            kinds={"feast", "parquet"},
            description=f"{self.description}\n\nRows of {self.feature_service} as they were known then.".strip(),
            metadata={
                "feature_service": self.feature_service,
                "entities": dg.MetadataValue.md(f"```sql\n{clean(self.entities)}\n```"),
                "freshness": "none: it is made when somebody asks for it",
            },
            **asset_defaults(lineage.owned, "exports", None),
        )
        def training_set(
            context: dg.AssetExecutionContext,
            feast: FeastResource,
            warehouse: PostgresResource,
            object_store: ObjectStoreResource,
        ) -> dg.MaterializeResult:
            with as_failures():
                refuse_unproved(context.instance, context.run.run_id, sorted(read))
            return self._run(context.run.run_id, feast, warehouse, object_store)

        return training_set

    def _run(
        self, run_id: str, feast: FeastResource, warehouse: PostgresResource, object_store: ObjectStoreResource
    ) -> dg.MaterializeResult:
        import psycopg

        dataset = f"training_sets/{self.name}"
        with tempfile.TemporaryDirectory(prefix="terrane-training-") as folder:
            file = Path(folder, FILE)
            try:
                written = write_training_set(
                    feast,
                    warehouse,
                    self.feature_service,
                    self.entities,
                    file,
                    JoinOptions(self.full_feature_names, self.known_at_the_time),
                )
            except (EntitiesRefused, NoSuchService, NotJoined) as error:
                raise dg.Failure(f"{error} Nothing was published of {dataset}.", allow_retries=False) from error
            except psycopg.Error as error:
                raise _of_postgres(error, warehouse, dataset) from error
            summary = {
                "rows": written.rows,
                "feature_service": self.feature_service,
                "definitions": feast.repository().digest,
                "entities": clean(self.entities),
                "known_at_the_time": self.known_at_the_time,
            }
            commit = publish(object_store.bucket(DATA_LAKE), dataset, run_id, run_id, {FILE: file}, summary)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": written.rows,
                "columns": ", ".join(written.columns),
                "bytes": commit.object(FILE).size,
                "object": commit.object(FILE).key,
                "commit": commit_key(dataset, commit.batch_id),
            }
        )


def _of_postgres(error: Exception, warehouse: PostgresResource, dataset: str) -> dg.Failure:
    """What Postgres says of the join, or of its own absence."""
    first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return dg.Failure(
        f"Postgres at {warehouse.host}:{warehouse.port}, database {warehouse.database}, failed while {dataset} was"
        f" joined: {first_line}. Nothing was published. Correct the `entities` of its defs.yaml if they are at fault,"
        " see that the server is up, and re-execute this run."
    )
