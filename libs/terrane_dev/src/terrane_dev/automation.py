"""An instance, ticks of the automation on it, and runs that take time, end in every way and write what real runs write.

Nothing is executed: a run's events are written as the daemon and the run's process would, at the world's own time. What
is asked for is what Dagster's evaluator says, grouped into runs as its daemon groups it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluation
from dagster._core.definitions.automation_tick_evaluation_context import build_run_requests
from dagster._core.events import DagsterEvent, DagsterEventType, StepMaterializationData
from dagster._core.events.log import EventLogEntry
from dagster._core.execution.api import create_execution_plan
from dagster._core.storage.tags import PARTITION_NAME_TAG
from dagster._core.test_utils import freeze_time

START = datetime(2026, 3, 2, 12, 0, 30, tzinfo=UTC)
Status = dg.DagsterRunStatus


@dataclass
class Run:
    """A run under way: the assets it has still to make, in order."""

    id: str
    keys: list[str]
    partition: str | None
    made: list[str] = field(default_factory=list)
    status: dg.DagsterRunStatus = Status.STARTED


class World:
    """Time stands still but for `tick` and `wait`."""

    def __init__(
        self, assets: Sequence[object] | dg.Definitions, instance: dg.DagsterInstance, start: datetime = START
    ):
        self.instance, self.now, self.runs = instance, start, list[Run]()
        self.cursor = None
        self.deploy(assets)

    def deploy(self, assets: Sequence[object] | dg.Definitions) -> None:
        """Takes these definitions, or this list of assets and checks, from now on."""
        if isinstance(assets, dg.Definitions):
            self.definitions = assets
        else:
            checks = [each for each in assets if isinstance(each, dg.AssetChecksDefinition)]
            self.definitions = dg.Definitions(
                assets=[each for each in assets if each not in checks],  # pyright: ignore[reportArgumentType]
                asset_checks=checks,
            )
        self.graph = self.definitions.resolve_asset_graph()

    def wait(self, **duration: float) -> None:
        self.now += timedelta(**duration)

    def frozen(self) -> AbstractContextManager[None]:
        return freeze_time(self.now)  # pyright: ignore[reportReturnType]

    def tick(self, seconds: float = 5, launch: bool = True) -> set[str]:
        """What is asked for, as `key`, `key@partition` or, of checks alone, `key:check`.

        The runs of assets begin, unless the daemon dies before.
        """
        self.wait(seconds=seconds)
        with self.frozen():
            result = dg.evaluate_automation_conditions(
                self.definitions, self.instance, evaluation_time=self.now, cursor=self.cursor
            )
            self.cursor = result.cursor
            subsets = [r.true_subset for r in result.results if not r.true_subset.is_empty]
            requests = build_run_requests(subsets, self.graph, {}, emit_backfills=False)
            found = set[str]()
            for request in requests:
                keys = [key.to_user_string() for key in request.asset_selection or ()]
                found |= {_name(key, request.partition_key) for key in keys}
                if not keys:
                    found |= {check.to_user_string() for check in request.asset_check_keys or ()}
                elif launch:
                    self.launch(*keys, partition=request.partition_key)
        return found

    def ticks(self, minutes: float, every_s: float = 60) -> list[set[str]]:
        """What is asked for in all ticks of so many minutes; runs of it fail at once."""
        found = []
        for _ in range(int(minutes * 60 / every_s)):
            found.append(self.tick(every_s))
            self.end_all(Status.FAILURE)
        return found

    def launch(self, *keys: str, partition: str | None = None, tags: Mapping[str, str] | None = None) -> Run:
        """Starts a run of the assets; its checks are planned with it."""
        wanted = {dg.AssetKey.from_user_string(key) for key in keys}
        with self.frozen():
            job = self.definitions.resolve_implicit_global_asset_job_def().get_subset(asset_selection=wanted)
            made = self.instance.create_run_for_job(
                job,
                execution_plan=create_execution_plan(job),
                status=Status.STARTED,
                asset_selection=wanted,
                tags={PARTITION_NAME_TAG: partition} if partition else dict(tags or {}),
            )
        order = [key.to_user_string() for key in self.graph.toposorted_asset_keys if key in wanted]
        run = Run(made.run_id, order, partition)
        self.runs.append(run)
        return run

    def made(self, *keys: str, partitions: Iterable[str] = (), run: Run | None = None) -> None:
        """The assets are materialised: in the run, or by somebody from outside."""
        for key in keys:
            asset = dg.AssetKey.from_user_string(key)
            for partition in partitions or [run.partition if run else None]:
                event = dg.AssetMaterialization(asset, partition=partition)
                self._write(
                    DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(event), run.id if run else ""
                )

    def make_next(self, run: Run, checks: Mapping[str, bool] | None = None) -> str:
        """The run's next asset is materialised, and its checks pass, or as `checks` says by the asset's key."""
        key = run.keys.pop(0)
        self.made(key, run=run)
        run.made.append(key)
        self.check(key, (checks or {}).get(key, True), run)
        return key

    def check(self, key: str, passed: bool, run: Run | None = None) -> None:
        """All blocking checks of the asset are evaluated, in the run or by themselves."""
        asset = dg.AssetKey.from_user_string(key)
        for check in sorted(self.graph.get(asset).check_keys):
            if self.graph.get(check).blocking:
                evaluation = AssetCheckEvaluation(asset_key=asset, check_name=check.name, passed=passed, blocking=True)
                self._write(DagsterEventType.ASSET_CHECK_EVALUATION, evaluation, run.id if run else "")

    def succeed(self, run: Run, checks: Mapping[str, bool] | None = None) -> None:
        """The run makes all that it has still to make, and ends well."""
        while run.keys:
            self.make_next(run, checks)
        self.end(run, Status.SUCCESS)

    def end(self, run: Run, status: dg.DagsterRunStatus) -> None:
        kind = {
            Status.SUCCESS: DagsterEventType.PIPELINE_SUCCESS,
            Status.FAILURE: DagsterEventType.PIPELINE_FAILURE,
            Status.CANCELED: DagsterEventType.PIPELINE_CANCELED,
        }[status]
        self._write(kind, None, run.id)
        run.status = status
        self.runs.remove(run)

    def end_all(self, status: dg.DagsterRunStatus) -> None:
        for run in list(self.runs):
            self.succeed(run) if status is Status.SUCCESS else self.end(run, status)

    def _write(self, kind: DagsterEventType, data: object, run_id: str) -> None:
        event = DagsterEvent(
            event_type_value=kind.value,
            job_name="__ASSET_JOB",
            event_specific_data=data,  # pyright: ignore[reportArgumentType]
        )
        entry = EventLogEntry(
            user_message="",
            level=20,
            run_id=run_id,
            timestamp=self.now.timestamp(),
            error_info=None,
            step_key=None,
            job_name="__ASSET_JOB",
            dagster_event=event,
        )
        with self.frozen():
            self.instance.handle_new_event(entry)


def _name(key: str, partition: str | None) -> str:
    return f"{key}@{partition}" if partition else key
