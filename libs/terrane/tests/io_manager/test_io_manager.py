"""What assets return is there for the next run, whole, by partition, and bounded."""

from pathlib import Path

import dagster as dg
import pytest

from terrane.io_manager import LakeIOManager, formats
from terrane.io_manager.manager import dataset
from terrane.object_store import DATA_LAKE, ObjectStoreResource
from terrane.publishing import list_commits

pytestmark = pytest.mark.integration

DAYS = dg.StaticPartitionsDefinition(["one", "two/three", "..", "_commits"])


def run(store: ObjectStoreResource, *assets: dg.AssetsDefinition, **options: object) -> dg.ExecuteInProcessResult:
    resources = {"io_manager": LakeIOManager(object_store=store)}
    everything: list[dg.AssetsDefinition | dg.AssetSpec] = [*assets]
    return dg.materialize(everything, resources=resources, raise_on_error=False, **options)  # pyright: ignore


def message(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    return str(event.step_failure_data.error)


@dg.asset(key=["some", "numbers"])
def numbers() -> list[int]:
    return [1, 2, 3]


@dg.asset(ins={"numbers": dg.AssetIn(key=["some", "numbers"])})
def total(numbers: list[int]) -> int:
    return sum(numbers)


def test_a_later_run_reads_what_an_earlier_one_returned(object_store: ObjectStoreResource) -> None:
    assert run(object_store, numbers).success
    result = run(object_store, total, numbers, selection=[total])
    assert result.output_for_node("total") == 6


def test_the_newest_two_are_kept(object_store: ObjectStoreResource) -> None:
    runs = [run(object_store, numbers).run_id for _ in range(4)]
    kept = list_commits(object_store.bucket(DATA_LAKE), dataset(dg.AssetKey(["some", "numbers"]), None))
    assert [commit.run_id for commit in kept] == runs[-2:]


def test_partitions_are_apart(object_store: ObjectStoreResource) -> None:
    @dg.asset(partitions_def=DAYS)
    def day(context: dg.AssetExecutionContext) -> str:
        return context.partition_key * 2

    @dg.asset(partitions_def=DAYS)
    def same(day: str) -> str:
        return day

    @dg.asset
    def every(day: dict[str, str]) -> dict[str, str]:
        return day

    for key in DAYS.get_partition_keys():
        assert run(object_store, day, partition_key=key).success
    assert run(object_store, same, day, selection=[same], partition_key="..").output_for_node("same") == "...."
    found = run(object_store, every, day, selection=[every]).output_for_node("every")
    assert found == {key: key * 2 for key in DAYS.get_partition_keys()}


def test_a_run_over_several_partitions_returns_one_value_each(folder_store: ObjectStoreResource) -> None:
    policy = dg.BackfillPolicy.single_run()
    days = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-04")
    tags = {"dagster/asset_partition_range_start": "2026-01-01", "dagster/asset_partition_range_end": "2026-01-02"}

    @dg.asset(partitions_def=days, backfill_policy=policy)
    def day(context: dg.AssetExecutionContext) -> dict[str, str]:
        return {key: key for key in context.partition_keys}

    @dg.asset(partitions_def=days, backfill_policy=policy)
    def whole(context: dg.AssetExecutionContext) -> str:
        return "all of it"

    assert run(folder_store, day, tags=tags).success
    assert "returns a dictionary with a value for each" in message(run(folder_store, whole, tags=tags))


def test_a_value_that_was_never_kept_is_named(folder_store: ObjectStoreResource) -> None:
    told = message(run(folder_store, total, numbers, selection=[total]))
    assert "there is no value of some/numbers in the lake" in told


def test_what_returns_nothing_keeps_nothing(folder_store: ObjectStoreResource) -> None:
    @dg.asset
    def nothing() -> None: ...

    assert run(folder_store, nothing).success
    assert not Path(folder_store.folder(), "data-lake").exists() or not any(
        Path(folder_store.folder(), "data-lake").rglob("*.pickle")
    )


def test_a_large_value_and_one_that_cannot_be_pickled_fail_in_words(
    folder_store: ObjectStoreResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dg.asset
    def function() -> object:
        return lambda: 1

    monkeypatch.setattr(formats, "MOST_PICKLED", 4)
    assert "at most 0 MiB are kept as a pickle" in message(run(folder_store, numbers))
    assert "cannot be kept for the next run" in message(run(folder_store, function))


def test_a_step_that_is_tried_again_leaves_its_last_value(folder_store: ObjectStoreResource) -> None:
    attempts: list[int] = []

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=1), check_specs=[dg.AssetCheckSpec("fine", asset="again")])
    def again():
        attempts.append(1)
        yield dg.Output(len(attempts))
        if len(attempts) == 1:
            raise RuntimeError("after its value was kept")
        yield dg.AssetCheckResult(passed=True)

    @dg.asset
    def reads(again: int) -> int:
        return again

    assert run(folder_store, again).success
    assert run(folder_store, reads, again, selection=[reads]).output_for_node("reads") == 2


def test_steps_of_one_run_hand_each_other_values(folder_store: ObjectStoreResource) -> None:
    @dg.op
    def one() -> int:
        return 1

    @dg.op
    def add(number: int) -> int:
        return number + 1

    @dg.job(resource_defs={"io_manager": LakeIOManager(object_store=folder_store)})  # pyright: ignore
    def chain() -> None:
        add(one())

    assert chain.execute_in_process().output_for_node("add") == 2
