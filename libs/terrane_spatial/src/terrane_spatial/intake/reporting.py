"""Recording in Dagster that batches landed: many in one transaction of its storage.

One by one, as `DagsterInstance.report_runless_asset_event` does it, each takes two connections of the storage, which
keeps none open; a flood has thousands. Names of Dagster's that are private are used here alone, and
`tests/intake/test_reporting.py` compares what both record.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import dagster as dg
from dagster._core.events import StepMaterializationData
from dagster._core.instance.utils import RUNLESS_JOB_NAME, RUNLESS_RUN_ID


def record_together(instance: dg.DagsterInstance, materializations: Sequence[dg.AssetMaterialization]) -> None:
    """Records materialisations of one asset that no run made; all of them, or none."""
    instance.event_log_storage.store_event_batch([_entry(each) for each in materializations])


def _entry(materialization: dg.AssetMaterialization) -> dg.EventLogEntry:
    event = dg.DagsterEvent(
        event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION.value,
        event_specific_data=StepMaterializationData(materialization),
        job_name=RUNLESS_JOB_NAME,
    )
    return dg.EventLogEntry(
        error_info=None,
        level=logging.INFO,
        user_message="",
        run_id=RUNLESS_RUN_ID,
        timestamp=time.time(),
        step_key=None,
        job_name=RUNLESS_JOB_NAME,
        dagster_event=event,
    )
