"""Processes that wait for a file: they take nothing with them, and none is left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from terrane_spatial.intake.manifest import ManifestFile
from terrane_spatial.loading import batch_loader
from terrane_spatial.loading.batch_loader import load_files
from terrane_spatial.reading import gdal_process, vector_reader
from terrane_spatial.reading.gdal_process import GdalProcess

pytestmark = pytest.mark.unit

TRY_IN_A_THREAD = """
import json, socket, sys, threading
from terrane_spatial.sandbox.confinement import confine, program_folders

def attempt(what, call):
    try:
        call()
        told[what] = "nothing"
    except OSError as error:
        told[what] = type(error).__name__

def attempts():
    attempt("open", lambda: open(sys.argv[1]))
    attempt("socket", socket.socket)

told = {"enforced": confine(program_folders())}
thread = threading.Thread(target=attempts)
thread.start()
thread.join()
print(json.dumps(told))
"""


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[GdalProcess]]:
    """The processes started in a test, of which none may wait when it begins or ends."""
    made: list[GdalProcess] = []

    class Counted(GdalProcess):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    gdal_process.dismiss()
    monkeypatch.setattr(gdal_process, "GdalProcess", Counted)
    yield made
    gdal_process.dismiss()


def point(path: Path) -> Path:
    path.write_text(json.dumps({"type": "Point", "coordinates": [1, 2]}))
    return path


def rows(path: Path) -> int:
    with vector_reader.read(path, "b/x") as (_, batches):
        return sum(batch.num_rows for batch in batches)


def soon(true: Callable[[], bool]) -> bool:
    ends = time.monotonic() + 10
    while not true() and time.monotonic() < ends:
        time.sleep(0.01)
    return true()


def test_a_file_is_read_by_the_process_that_was_started_ahead(started: list[GdalProcess], tmp_path: Path) -> None:
    gdal_process.start_ahead()
    assert rows(point(tmp_path / "x.geojson")) == 1
    assert len(started) == 1
    assert rows(tmp_path / "x.geojson") == 1
    assert len(started) == 2


def test_a_process_that_died_while_it_waited_is_passed_over(started: list[GdalProcess], tmp_path: Path) -> None:
    gdal_process.start_ahead()
    started[0].popen.kill()
    started[0].popen.wait()
    assert rows(point(tmp_path / "x.geojson")) == 1
    assert len(started) == 2


def test_while_it_waits_it_has_imported_arrow_and_loaded_no_gdal(started: list[GdalProcess]) -> None:
    gdal_process.start_ahead()
    maps = Path(f"/proc/{started[0].popen.pid}/maps")
    if not maps.exists():
        pytest.skip("this system does not tell what a process has loaded")
    assert soon(lambda: "libarrow" in maps.read_text())
    assert "gdal" not in maps.read_text().lower()
    environment = Path(f"/proc/{started[0].popen.pid}/environ").read_bytes().decode()
    assert {line.partition("=")[0] for line in environment.split("\0")}.isdisjoint(
        {name for name in os.environ if "PASSWORD" in name or "SECRET" in name or "TOKEN" in name}
    )


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has Landlock and seccomp")
def test_a_process_with_a_second_thread_refuses_to_be_confined_in_part() -> None:
    program = "import threading, time; threading.Thread(target=time.sleep, args=(1,)).start()"
    code = f"from terrane_spatial.sandbox.confinement import confine; {program}; confine([])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert "RuntimeError: 1 threads beside the first would not be confined" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has Landlock and seccomp")
def test_threads_that_are_made_later_are_confined_as_the_first_is(tmp_path: Path) -> None:
    """GDAL reads large files with two."""
    secret = tmp_path / "secret"
    secret.write_text("canary")
    done = subprocess.run([sys.executable, "-c", TRY_IN_A_THREAD, str(secret)], capture_output=True, timeout=30)
    told = json.loads(done.stdout)
    met = {"files": told["open"], "calls": told["socket"]}
    assert met == {what: "PermissionError" if what in told["enforced"] else "nothing" for what in met}


def test_what_was_started_for_a_file_that_never_came_is_ended(started: list[GdalProcess]) -> None:
    def fetch(file: ManifestFile, folder: Path) -> Path:
        raise OSError("no such object")

    files = [ManifestFile(key=f"b/{name}.gpkg", size=1, sha256="0" * 64) for name in ("a", "b")]
    with pytest.raises(OSError, match="no such object"):
        load_files(files, fetch, batch_loader.threading.Lock, batch_loader.Progress())  # type: ignore[arg-type]
    assert started
    assert all(process.popen.returncode is not None for process in started)
