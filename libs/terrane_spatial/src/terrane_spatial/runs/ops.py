"""The stages of a run as ops: what Dagster gives goes in, what people see in Dagster comes out.

Annotations are evaluated here, because Dagster reads configuration from them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import dagster as dg
from pydantic import Field

from terrane_spatial.limits import Limits
from terrane_spatial.runs import failures, names, stages
from terrane_spatial.runs.names import landed
from terrane_spatial.runs.work import Dataset, Work
from terrane_spatial.transforms.requirements import InputNotAsRequiredError, OutputNotAsRequiredError

CHECK, REQUIREMENTS = "conservation", "requirements"
RESOURCES = {"compute", "store", "ledger"}
NO_BATCH = (
    "The run names no batch: launch a partition of the asset, whose key is the batch_id. A batch that an earlier "
    "release took in has none until it is added to the asset's partitions"
)


class StageConfig(dg.Config):
    """What a person may say when launching a batch by hand."""

    lift_quarantine: bool = Field(
        default=False, description="Work on the batch though a file of it has ended the process that read it, twice."
    )


@dataclass(frozen=True)
class Stage:
    """A stage of a dataset's run.

    Attributes:
        needs: what the op takes, which is Nothing but an order.
        work: what it does; returns what the run's events tell of it.
    """

    name: str
    description: str
    needs: str
    work: Callable[[Work], Mapping[str, Any] | None]


def work_of(context: dg.OpExecutionContext, dataset: Dataset, config: StageConfig) -> Work:
    """What the op's context and resources say of the run's work."""
    if not context.has_partition_key:
        raise dg.Failure(f"{NO_BATCH}.", allow_retries=False)
    resources: Any = context.resources
    return Work(
        dataset,
        context.partition_key,
        context.run_id,
        resources.compute,
        resources.store,
        resources.ledger,
        say=context.log.info,
        observe=_observer(context, dataset),
        tag=lambda tags: context.instance.add_run_tags(context.run_id, tags),
        lift_quarantine=config.lift_quarantine,
        tries_left=dataset.limits.retries - context.retry_number,
    )


def _observer(context: dg.OpExecutionContext, dataset: Dataset) -> Any:
    """Figures of loading become observations of what landed, so that they are in the run's events while it works."""

    def observe(figures: Mapping[str, Any]) -> None:
        metadata = {name: dg.JsonMetadataValue(dict(facts)) for name, facts in figures.items()}
        observation = dg.AssetObservation(landed(dataset.name), metadata=metadata, partition=context.partition_key)
        context.log_event(observation)

    return observe


def retry_policy(limits: Limits) -> dg.RetryPolicy:
    """Tried again is what `terrane.errors` calls temporary; all else fails at once."""
    backoff, jitter = dg.Backoff.EXPONENTIAL, dg.Jitter.PLUS_MINUS
    return dg.RetryPolicy(max_retries=limits.retries, delay=limits.retry_delay_s, backoff=backoff, jitter=jitter)


def stage_op(dataset: Dataset, stage: Stage) -> dg.OpDefinition:
    """The op of a stage that only says what it did."""

    @dg.op(
        name=f"{stage.name}_{dataset.name}",
        description=stage.description,
        ins={stage.needs: dg.In(dg.Nothing)},
        out=dg.Out(dg.Nothing),
        required_resource_keys=RESOURCES,
        retry_policy=retry_policy(dataset.limits),
    )
    def run_stage(context: dg.OpExecutionContext, config: StageConfig) -> None:
        work = work_of(context, dataset, config)
        with failures.reported(work, stage.name):
            told = stage.work(work)
        context.add_output_metadata(dict(told or {}))

    return run_stage


def load_op(dataset: Dataset) -> dg.OpDefinition:
    return stage_op(dataset, Stage(names.LOAD, "Fetches, checks and loads the batch's files.", "batches", stages.load))


def transform_op(dataset: Dataset, key: dg.AssetKey) -> dg.OpDefinition:
    @dg.op(
        name=f"{names.TRANSFORM}_{dataset.name}",
        description="Runs the dataset's steps, and checks that rows are conserved.",
        ins={"loaded": dg.In(dg.Nothing)},
        out={name: dg.Out(dg.Nothing, is_required=False) for name in ("transformed", *checks_of(dataset))},
        required_resource_keys=RESOURCES,
        retry_policy=retry_policy(dataset.limits),
    )
    def transform(context: dg.OpExecutionContext, config: StageConfig) -> Iterator[Any]:
        work = work_of(context, dataset, config)
        try:
            with failures.reported(work, names.TRANSFORM):
                balances = stages.transform(work)
        except dg.Failure as failure:
            if isinstance(failure.__cause__, InputNotAsRequiredError | OutputNotAsRequiredError):
                yield _of_requirements(dataset, key, failure.__cause__)
            raise
        if dataset.requirements:
            yield _of_requirements(dataset, key, None)
        yield dg.AssetCheckResult(
            passed=all(b.holds for b in balances),
            asset_key=key,
            check_name=CHECK,
            metadata={b.table: dg.JsonMetadataValue({**asdict(b), "holds": b.holds}) for b in balances},
        )
        with failures.reported(work, names.TRANSFORM):
            stages.require_conservation(balances)
        yield dg.Output(None, "transformed")

    return transform


def checks_of(dataset: Dataset) -> dict[str, str]:
    """The checks that a run of the dataset makes before anything is published, with what each is about."""
    conservation = {CHECK: "Every row of every input is published, dropped with a reason, or a duplicate."}
    required = f"What the dataset requires of {', '.join(dataset.requirements)}: columns, bounds, rows, unique keys."
    return conservation | ({REQUIREMENTS: required} if dataset.requirements else {})


def _of_requirements(dataset: Dataset, key: dg.AssetKey, broken: BaseException | None) -> dg.AssetCheckResult:
    """The check's result: what is required of each table, or what is not so."""
    required = {
        table: dg.JsonMetadataValue(each.model_dump(mode="json", exclude_defaults=True))
        for table, each in dataset.requirements.items()
    }
    metadata: dict[str, Any] = {"broken": str(broken)} if broken else required
    return dg.AssetCheckResult(passed=broken is None, asset_key=key, check_name=REQUIREMENTS, metadata=metadata)


def export_op(dataset: Dataset) -> dg.OpDefinition:
    about = "Writes GeoParquet, a STAC item and a map, and publishes them as the batch."
    return stage_op(dataset, Stage(names.EXPORT, about, "transformed", lambda work: stages.export(work).metadata))
