"""A failure of ours never rejects a producer's batch: the run fails, and the batch is published by the next."""

from __future__ import annotations

import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.events import RunFailureReason
from dagster._core.execution.retries import auto_reexecution_should_retry_run
from spatial_batches import geojson_batch
from spatial_platform import Platform, failure_of

from terrane_spatial.intake.ledger import Arrival
from terrane_spatial.loading import batch_loader
from terrane_spatial.reading import gdal_process, vector_reader
from terrane_spatial.sandbox.protocol import Limits

pytestmark = pytest.mark.integration

END = "import os, sys; sys.stdin.read(); {do}"
KILLED = END.format(do=f"os.kill(os.getpid(), {int(signal.SIGKILL)})")
NO_LIBRARY = END.format(do="raise ImportError('libgdal.so.37: cannot open shared object file')")
# As the process itself does it, whose imports are done by then.
NO_MEMORY = """
from terrane_spatial.reading.child import entry, stream
from terrane_spatial.sandbox.child_main import main
def without_memory(*_):
    raise MemoryError
stream.stream = without_memory
main(entry.prepare)
"""
# As a library of another system does: what it calls fails, and it says that it cannot read the file.
FORGOTTEN_CALL = """
import ctypes, os
from terrane_spatial.reading.child import entry, stream
from terrane_spatial.sandbox.child_main import main
from terrane_spatial.sandbox.protocol import RefusedError
def with_a_timer(*_):
    if ctypes.CDLL(None).syscall({"x86_64": 283, "aarch64": 85}[os.uname().machine], 1, 0) < 0:
        raise RefusedError("GDAL cannot read it")
    raise AssertionError("nothing kept it from making a timer")
stream.stream = with_a_timer
main(entry.prepare)
"""
# Falls over one file, and reads every other as it should.
FALLS_OVER = """
import io, json, os, signal, sys
request = sys.stdin.read()
if "places.geojson" in request:
    os.kill(os.getpid(), signal.{signal})
sys.stdin = io.StringIO(request)
from terrane_spatial.reading.child.entry import prepare
from terrane_spatial.sandbox.child_main import main
main(prepare)
"""
FALLS_OVER_ALL = END.format(do="os.kill(os.getpid(), 11)")


def child_that(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (KILLED, "by signal 9 (SIGKILL)"),
        (NO_LIBRARY, "libgdal.so.37: cannot open shared object file"),
        (NO_MEMORY, "it needed more memory than one process may have"),
        (FORGOTTEN_CALL, "a system call that the sandbox knows nothing of"),
    ],
)
def test_a_reading_process_that_is_killed_or_lacks_what_it_needs_fails_the_run_and_not_the_batch(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    platform.put("good", geojson_batch())
    (request,) = platform.requests()
    with monkeypatch.context() as broken:
        broken.setattr(gdal_process, "CHILD", child_that(code))
        assert said in failure_of(platform.run(request))
    batch = platform.batch("good")
    assert batch
    assert (batch.state, platform.marker("good")) == ("failed", None)
    assert platform.run(request).success


def test_what_a_kill_says_names_the_limit_of_memory_and_the_peak(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.put("good", geojson_batch())
    monkeypatch.setattr(gdal_process, "CHILD", child_that(KILLED))
    said = failure_of(platform.run_next())
    assert "memory" in said
    assert "MiB" in said


def test_a_run_that_takes_rows_slowly_does_not_use_up_the_file_s_time(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a Postgres that is slow: the process waits for the run, not the run for it."""
    platform.put("slow", geojson_batch())
    monkeypatch.setattr(vector_reader, "limits_of_size", lambda _: Limits(wall_s=4))
    taken = vector_reader.RecordBatches.__iter__

    def slowly(batches: vector_reader.RecordBatches):  # type: ignore[no-untyped-def]
        for batch in taken(batches):
            batch_loader.threading.Event().wait(5)
            yield batch

    monkeypatch.setattr(vector_reader.RecordBatches, "__iter__", slowly)
    assert platform.run_next().success


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGBUS", "SIGABRT", "SIGXCPU"])
def test_a_file_that_ends_its_process_in_two_runs_is_quarantined_when_another_of_its_format_is_read_meanwhile(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    platform.put("hostile", geojson_batch())
    (request,) = platform.requests()
    with monkeypatch.context() as broken:
        broken.setattr(gdal_process, "CHILD", child_that(FALLS_OVER.replace("{signal}", name)))
        first = platform.run(request)
        assert name in failure_of(first)
        assert state_of(platform, "hostile") == "failed"
        said = failure_of(platform.run(request))
    assert name in said
    assert first.run_id in said
    assert "lift_quarantine" in said
    assert (state_of(platform, "hostile"), platform.marker("hostile")) == ("quarantined", None)


def test_the_second_run_is_dagster_s_own_and_there_is_no_third(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the chart and a laptop have it: of runs whose steps failed, none is launched again unless its tags say so."""
    platform.put("hostile", geojson_batch())
    (request,) = platform.requests()
    monkeypatch.setattr(gdal_process, "CHILD", child_that(FALLS_OVER.replace("{signal}", "SIGSEGV")))
    assert [will_be_retried(platform, platform.run(request)) for _ in range(2)] == [True, False]


def test_a_batch_that_is_read_by_its_second_run_is_published(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.put("unlucky", geojson_batch())
    (request,) = platform.requests()
    with monkeypatch.context() as broken:
        broken.setattr(gdal_process, "CHILD", child_that(FALLS_OVER.replace("{signal}", "SIGBUS")))
        assert not platform.run(request).success
    assert platform.run(request).success
    assert state_of(platform, "unlucky") == "published"


def state_of(platform: Platform, batch_id: str) -> str:
    batch = platform.batch(batch_id)
    assert batch
    return batch.state


def will_be_retried(platform: Platform, result: dg.ExecuteInProcessResult) -> bool:
    run = platform.instance.get_run_by_id(result.run_id)
    assert run
    return auto_reexecution_should_retry_run(platform.instance, run, RunFailureReason.STEP_FAILURE)


def test_a_quarantine_holds_until_a_person_lifts_it(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    platform.put("hostile", geojson_batch())
    (request,) = platform.requests()
    with monkeypatch.context() as broken:
        broken.setattr(gdal_process, "CHILD", child_that(FALLS_OVER.replace("{signal}", "SIGSEGV")))
        assert not any(platform.run(request).success for _ in range(2))
    assert "is quarantined" in failure_of(platform.run(request))
    config = {"ops": {"data_lake__places": {"ops": {"load": {"config": {"lift_quarantine": True}}}}}}
    assert platform.run(request.with_replaced_attrs(run_config=config)).success


def test_a_process_that_falls_over_every_file_is_ours_and_quarantines_none(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.put("good", geojson_batch())
    (request,) = platform.requests()
    with monkeypatch.context() as broken:
        broken.setattr(gdal_process, "CHILD", child_that(FALLS_OVER_ALL))
        assert "a known good file" in failure_of(platform.run(request))
    batch = platform.batch("good")
    assert batch
    assert batch.state == "failed"
    assert platform.run(request).success


def test_an_object_that_was_cut_short_on_its_way_once_is_fetched_again(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    import obstore

    platform.put("cut", geojson_batch())
    (request,) = platform.requests()
    whole, cut = obstore.get, []

    class Cut:
        def __init__(self, content: bytes):
            self.content = content

        def stream(self, **_: object) -> list[bytes]:
            return [self.content[:-1]]

    def get(store: object, key: str, **options: object) -> object:
        found = whole(store, key, **options)  # type: ignore[arg-type]
        if key.startswith("batches/") and key not in cut:
            cut.append(key)
            return Cut(bytes(found.bytes()))
        return found

    monkeypatch.setattr(obstore, "get", get)
    assert platform.run(request).success
    assert len(cut) == 2


def test_a_full_disk_fails_the_run_and_not_the_batch(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    platform.put("good", geojson_batch())
    (request,) = platform.requests()

    opened = Path.open

    def full(path: Path, mode: str = "r", *others: Any, **options: Any) -> Any:
        if mode == "wb":
            raise OSError(28, "No space left on device")
        return opened(path, mode, *others, **options)

    with monkeypatch.context() as changed:
        changed.setattr(Path, "open", full)
        result = platform.run(request)
    assert "No space left on device" in failure_of(result)
    batch = platform.batch("good")
    assert batch
    assert (batch.state, platform.marker("good")) == ("failed", None)


def test_a_launch_that_names_another_dataset_s_batch_is_refused_and_changes_nothing(platform: Platform) -> None:
    platform.put("mine", geojson_batch())
    (request,) = platform.requests()
    with platform.ledger.open() as ledger:
        ledger.accept(Arrival("theirs", "{}", "0" * 64, None, datetime.now(UTC)), "rivers")
    # Dagster refuses a key that is no partition; a person may have added it.
    platform.instance.add_dynamic_partitions("places_batches", ["theirs"])
    named = request.with_replaced_attrs(partition_key="theirs")
    assert "no accepted batch theirs of dataset places" in failure_of(platform.run(named))
    batch = platform.batch("theirs")
    assert batch
    assert (batch.state, batch.reasons) == ("accepted", [])
