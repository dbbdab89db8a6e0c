"""An asset online/<feature view>: the view's rows in Redis, looked at before they are written and read back after."""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

from terrane.automation.proof import refuse_unproved
from terrane.errors import as_failures
from terrane.policies import asset_defaults, when_new
from terrane.postgres import PostgresResource
from terrane_features.checks import history
from terrane_features.checks.inspection import Inspection, NotWritten
from terrane_features.checks.results import (
    SERVER,
    STORE,
    canary_check,
    columns_check,
    count_check,
    drift_checks,
    freshness_check,
    rows_checks,
    specs,
)
from terrane_features.components.lineage import Lineage, online_key, source_keys
from terrane_features.components.metadata import metadata_of
from terrane_features.components.settings import CheckSettings
from terrane_features.failures import explained
from terrane_features.materialize import verify
from terrane_features.materialize.run import MassDeletionRefused, NotRegistered, materialize
from terrane_features.online_store.address import memory_bytes
from terrane_features.repository.model import FeatureView
from terrane_features.repository.table_schema import ColumnsDoNotFit
from terrane_features.resources import FeastResource, FeatureServer

LEFT = "Rows written by then stay, none were removed, and the next run writes all of them again."

Stopped = dg.AssetCheckResult | dg.MaterializeResult


class OnlineViewConfig(dg.Config):
    """How far a run may go.

    Attributes:
        allow_mass_deletion: remove rows online even where the table has lost more than half of its entities.
    """

    allow_mass_deletion: bool = False


def online_view(view: FeatureView, settings: CheckSettings, lineage: Lineage) -> dg.AssetsDefinition:
    """The asset of one view, and its checks."""
    key = online_key(view)
    within = timedelta(hours=settings.fresh_within_hours)

    @dg.asset(
        key=key,
        deps=[*source_keys(view), lineage.registry_key],
        kinds={"feast", "redis"},
        description=f"{view.description}\n\nFrom {view.table}: one hash in Redis for each {', '.join(view.key_names)}.",
        automation_condition=when_new(unchecked=[lineage.registry_key]),
        metadata={"dagster/table_name": view.table, "fields": ", ".join(feature.name for feature in view.features)},
        check_specs=specs(key),
        **asset_defaults(lineage.owned, "serving", settings.fresh_within_hours),
        pool=lineage.pool,
    )
    def online(
        context: dg.AssetExecutionContext,
        config: OnlineViewConfig,
        feast: FeastResource,
        warehouse: PostgresResource,
        feature_server: FeatureServer,
    ) -> Iterator[Stopped]:
        with as_failures():
            refuse_unproved(context.instance, context.run.run_id, source_keys(view))
        found = Inspection(view, feast.repository().project)
        try:
            with explained(f"materialising {view.name}", LEFT, warehouse, feast):
                done = materialize(
                    feast,
                    warehouse,
                    view.name,
                    allow_mass_deletion=config.allow_mass_deletion,
                    inspect=found.run,
                    afterwards=found.measure,
                )
                _keep(warehouse, found, context.run.run_id)
                readings = {
                    STORE: verify.read_store(found.view, found.sample, feast.store()),
                    SERVER: verify.read_server(found.view, found.sample, feature_server.url),
                }
                memory = memory_bytes(feast.online_store().client())
        except (ColumnsDoNotFit, NotWritten) as error:
            yield from _failed(error, found)
            raise dg.Failure(str(error), allow_retries=False) from error
        except (MassDeletionRefused, NotRegistered) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        if readings[SERVER].silent:
            context.log.warning("the feature server was not asked: %s", readings[SERVER].asked)
        assert found.faults is not None
        results = [columns_check([]), *rows_checks(found.faults), count_check(done)]
        results += [canary_check(name, reading) for name, reading in readings.items()]
        results += [freshness_check(view, done.window, within), *drift_checks(found, settings.limits)]
        yield dg.MaterializeResult(metadata=metadata_of(done, found, memory), check_results=results)

    return online


def _keep(warehouse: PostgresResource, found: Inspection, run_id: str) -> None:
    """Keeps this run's statistics for the next one; a run without any leaves the last ones."""
    if found.statistics is None:
        return
    with warehouse.connect() as connection:
        history.keep(connection, found.project, found.view.name, found.statistics, run_id)


def _failed(error: ColumnsDoNotFit | NotWritten, found: Inspection) -> Iterator[dg.AssetCheckResult]:
    """What was found out before the run was stopped."""
    if isinstance(error, ColumnsDoNotFit):
        yield columns_check(error.problems)
        return
    assert found.faults is not None
    yield columns_check([])
    yield from rows_checks(found.faults)
