"""The check `updates_arrive` of every asset that is asked for by itself: red once that was in vain.

Automation asks again with back-off to a bound (`terrane.policies`). Then it asks for this check, which fails and stays
red until somebody materialises the asset: a materialisation of it makes the check pass.
"""

from collections.abc import Iterator

import dagster as dg

from terrane.policies import given_up

NAME = "updates_arrive"
DESCRIPTION = (
    "The asset's newest run made it. Red: it failed until the bound of the back-off, and is not asked for again."
)
OVER = {dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


def with_update_checks(definitions: dg.Definitions) -> dg.Definitions:
    """The definitions, and the check of each asset in them that has a condition."""
    keys = sorted(
        spec.key
        for asset in definitions.assets or ()
        if isinstance(asset, dg.AssetsDefinition)
        for spec in asset.specs
        if spec.automation_condition is not None and asset.is_executable
    )
    if not keys:
        return definitions
    return dg.Definitions.merge(definitions, dg.Definitions(asset_checks=[_checks(keys)]))


def _checks(keys: list[dg.AssetKey]) -> dg.AssetChecksDefinition:
    def condition(key: dg.AssetKey) -> dg.AutomationCondition:
        red = dg.AutomationCondition.check_failed() | dg.AutomationCondition.in_progress()
        return dg.AutomationCondition.asset_matches(key, given_up()) & ~red

    specs = [
        dg.AssetCheckSpec(NAME, asset=key, description=DESCRIPTION, automation_condition=condition(key)) for key in keys
    ]

    @dg.multi_asset_check(specs=specs, name=NAME, can_subset=True)
    def checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        for check in sorted(context.selected_asset_check_keys):
            reason = why_it_failed(context.instance, check.asset_key)
            yield dg.AssetCheckResult(
                asset_key=check.asset_key, check_name=check.name, passed=reason is None, description=reason
            )

    return checks


def why_it_failed(instance: dg.DagsterInstance, key: dg.AssetKey) -> str | None:
    """Why the newest run that was to make the asset did not; None when it did, or is under way."""
    planned = instance.event_log_storage.get_latest_planned_materialization_info(key)
    run = planned and instance.get_run_by_id(planned.run_id)
    newest = instance.get_latest_materialization_event(key)
    if not planned or not run or run.status not in OVER or (newest and newest.run_id == planned.run_id):
        return None
    ended = "was cancelled" if run.status is dg.DagsterRunStatus.CANCELED else "failed"
    return (
        f"its newest run {run.run_id} {ended}, as those before it to the bound of the back-off: it is asked for again "
        "when something upstream is new, and not before. Mend what the run says, then materialise the asset"
    )
