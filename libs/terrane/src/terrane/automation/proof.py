"""What failed its blocking checks goes no further, in whatever run: a reader asks here before it reads.

Conditions keep automation from asking for what is made of unproved content. This keeps a run by hand, a re-execution
and a run of another location from it, which know no condition.
"""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluation

from terrane.errors import Permanent

OUTCOMES = {dg.DagsterEventType.ASSET_CHECK_EVALUATION, dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED}


def refuse_unproved(instance: dg.DagsterInstance, run_id: str, keys: Iterable[dg.AssetKey]) -> None:
    """Raises Permanent when the newest content of one of the assets has not passed its blocking checks.

    Content that no run of a location made, and an asset without checks, is taken as it is. It reads the events of the
    run that made the content, and one record a check.

    Args:
        instance: whose event log says what was checked.
        run_id: of the reader's run; what it checks itself is Dagster's to wait for.
        keys: what the reader reads.
    """
    told = {key.to_user_string(): names for key in keys if (names := unproved(instance, run_id, key))}
    if told:
        what = "; ".join(f"{name} ({', '.join(names[:5])})" for name, names in told.items())
        raise Permanent(
            f"not read, since the newest content has not passed its blocking checks: {what}. What was made before is "
            "as it was; mend the rows or the check, then materialise it again"
        )


def unproved(instance: dg.DagsterInstance, run_id: str, key: dg.AssetKey) -> list[str]:
    """The names of the blocking checks that the asset's newest content failed or never came to."""
    newest = instance.get_latest_materialization_event(key)
    if newest is None or not newest.run_id:
        return []
    own: dict[str, AssetCheckEvaluation | None] = {}
    for entry in instance.all_logs(newest.run_id, of_type=OUTCOMES):
        event = entry.dagster_event
        assert event
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            found = event.asset_check_evaluation_data
            if found.asset_key == key:
                own[found.check_name] = found
        elif event.asset_check_planned_data.asset_key == key:
            own.setdefault(event.asset_check_planned_data.check_name, None)
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(
        [dg.AssetCheckKey(key, name) for name in sorted(own)]
    )
    bad = []
    for check, record in latest.items():
        # Of a later attempt that did not come to it, the record says nothing of the content that is there.
        evaluation = record.evaluation if isinstance(record.evaluation, AssetCheckEvaluation) else own[check.name]
        if evaluation is None:
            bad += [f"{check.name}, not evaluated"] if newest.run_id != run_id else []
        elif not evaluation.passed and evaluation.blocking and evaluation.severity is dg.AssetCheckSeverity.ERROR:
            bad.append(check.name)
    return sorted(bad)
