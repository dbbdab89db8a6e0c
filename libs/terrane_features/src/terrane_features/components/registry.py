"""The asset feast/registry: the repository's definitions, applied."""

from collections.abc import Iterator

import dagster as dg

from terrane.policies import asset_defaults, when_new
from terrane.postgres import PostgresResource
from terrane_features.checks.results import BLOCKING, COLUMNS, FILES, columns_check, problems_check
from terrane_features.components.lineage import Lineage, source_keys
from terrane_features.failures import explained
from terrane_features.registry.apply import Outcome, register
from terrane_features.repository.model import Repository
from terrane_features.repository.table_schema import ColumnsDoNotFit
from terrane_features.resources import FeastResource

DESCRIPTION = """Feast's registry in the warehouse, as the repository declares it.

Definitions are checked against the tables' columns on every run, and applied when a byte of the repository changed. An
apply that would delete a definition is refused unless the run's config says `allow_deletions: true`."""
LEFT = "What Feast had written by then stays; the next run plans and applies the rest."


class RegistryConfig(dg.Config):
    allow_deletions: bool = False


def registry(repository: Repository, lineage: Lineage) -> dg.AssetsDefinition:
    """The asset of a repository's registry; its code version is the digest of the repository."""
    key = lineage.registry_key
    tables = sorted({table for view in repository.views for table in source_keys(view)})

    @dg.asset(
        key=key,
        deps=tables,
        kinds={"feast", "postgres"},
        description=DESCRIPTION,
        code_version=repository.digest,
        automation_condition=when_new(unchecked=tables),
        metadata={"freshness": "none: it changes when somebody changes a definition, however long that takes"},
        check_specs=[
            dg.AssetCheckSpec(COLUMNS, asset=key, description=BLOCKING[COLUMNS], blocking=True),
            dg.AssetCheckSpec(FILES, asset=key, description="Every file of the repository can be imported."),
        ],
        **asset_defaults(lineage.owned, "internal", None),
        pool=lineage.pool,
    )
    def feast_registry(
        context: dg.AssetExecutionContext,
        config: RegistryConfig,
        feast: FeastResource,
        warehouse: PostgresResource,
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
        try:
            with explained("applying Feast's definitions", LEFT, warehouse, feast):
                outcome = register(feast, warehouse, allow_deletions=config.allow_deletions, run_id=context.run.run_id)
        except ColumnsDoNotFit as error:
            yield columns_check(error.problems)
            raise dg.Failure(str(error), allow_retries=False) from error
        if outcome.changed_by_others:
            context.log.warning("the registry was not what was applied last: somebody else applied; it is mended")
        results = [columns_check([]), problems_check(repository.problems)]
        yield dg.MaterializeResult(metadata=metadata_of(outcome), check_results=results)

    return feast_registry


def metadata_of(outcome: Outcome) -> dict[str, dg.MetadataValue]:
    repository = outcome.repository
    changes = "\n".join(f"- {change}" for change in outcome.changes)
    return {
        "applied": dg.MetadataValue.bool(outcome.applied),
        "changes": dg.MetadataValue.md(changes or "none"),
        "changed_by_others": dg.MetadataValue.bool(outcome.changed_by_others),
        "problems": dg.MetadataValue.md("\n".join(f"- {p.place}: {p.message}" for p in repository.problems) or "none"),
        "removed_online": dg.MetadataValue.json(outcome.removed_online),
        "definitions": dg.MetadataValue.text(repository.digest),
        "feature_views": dg.MetadataValue.int(len(repository.views)),
        "feature_services": dg.MetadataValue.int(len(repository.services)),
    }
