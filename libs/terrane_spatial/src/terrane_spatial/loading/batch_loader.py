"""Loading the files of a batch: several at a time where processors allow, with progress told while it goes on."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrane_spatial.intake.manifest import ManifestFile
from terrane_spatial.loading.meter import Meter, StoppedError, raise_first
from terrane_spatial.loading.table_loader import Loaded, load_file
from terrane_spatial.reading import gdal_process, vector_reader
from terrane_spatial.reading.layer import size_of

if TYPE_CHECKING:
    import psycopg

TELL_EVERY_S = 5.0
# Two connections took 0.68 (points) and 0.80 (polygons) times as long as one on four processors, on two as long.
PROCESSORS_OF_LARGE, LARGE_BYTES = 4, 32 << 20
CPU_MAX = Path("/sys/fs/cgroup/cpu.max")

Fetch = Callable[[ManifestFile, Path], Path]
Connect = Callable[[], AbstractContextManager["psycopg.Connection"]]


@dataclass(frozen=True)
class Progress:
    """Where it goes how far loading is.

    Attributes:
        say: takes lines for people.
        observe: takes rows, rows a second and bytes of every file under way, by the file's key.
    """

    say: Callable[[str], None] = lambda _: None
    observe: Callable[[Mapping[str, Any]], None] = lambda _: None


def load_files(
    files: Sequence[ManifestFile],
    fetch: Fetch,
    connect: Connect,
    progress: Progress,
    at_once: int | None = None,
) -> list[Loaded]:
    """Fetches and loads the files; returns what was loaded, in the order of the files.

    When one fails the others stop at their next batch, and the first failure, in the order of the files, is raised.

    Args:
        fetch: puts a file into a folder, which goes when the file is loaded, and says under which name.
        connect: opens a connection of the run, in autocommit; each file gets one.
        progress: how far it is; told in the caller's thread.
        at_once: how many files at a time; as many as there are processors unless given.
    """
    at_once = at_once or min(len(files), processors())
    stop = threading.Event()
    meters = {file.key: Meter(file.key, stop) for file in files}
    threading.Thread(target=vector_reader.prepare, name="prepare", daemon=True).start()
    # Left in the other order: loads are told to stop, waited for, and then start no more processes.
    with ExitStack() as at_the_end:
        at_the_end.callback(gdal_process.dismiss)
        pool = at_the_end.enter_context(ThreadPoolExecutor(at_once, "load"))
        at_the_end.callback(stop.set)
        futures = [pool.submit(_load, file, fetch, connect, meters[file.key], at_once) for file in files]
        _watch(futures, list(meters.values()), progress)
    raise_first(futures)
    loaded = [future.result() for future in futures]
    for file, each in zip(files, loaded, strict=True):
        progress.say(f"{meters[file.key]}, EPSG:{each.srid}; {each.facts}")
    return loaded


@contextmanager
def connections_for(path: Path, connect: Connect, at_once: int = 1) -> Iterator[list[psycopg.Connection]]:
    """Opens the connections to load a file over: one, or two for a large file that has processors to itself.

    Args:
        at_once: how many files share the processors.
    """
    two = size_of(path) >= LARGE_BYTES and processors() >= PROCESSORS_OF_LARGE * at_once
    with ExitStack() as opened:
        yield [opened.enter_context(connect()) for _ in range(2 if two else 1)]


def processors() -> int:
    """How many processors this process may use: what the scheduler gives, cut by the quota of its container."""
    number = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CPU_MAX.read_text().split()
        return number if quota == "max" else max(1, min(number, int(quota) // int(period)))
    except (OSError, ValueError):
        return number


def _load(file: ManifestFile, fetch: Fetch, connect: Connect, meter: Meter, at_once: int) -> Loaded:
    if meter.stop.is_set():
        raise StoppedError(meter.name)
    gdal_process.start_ahead()
    with tempfile.TemporaryDirectory() as folder:
        path = fetch(file, Path(folder))
        with connections_for(path, connect, at_once) as (connection, *beside):
            return load_file(connection, path, file, meter, beside)


def _watch(futures: Sequence[Future[Loaded]], meters: Sequence[Meter], progress: Progress) -> None:
    """Waits until all are done or one failed, telling every TELL_EVERY_S how far those under way are."""
    while True:
        done, waiting = wait(futures, TELL_EVERY_S, FIRST_EXCEPTION)
        if not waiting or any(future.exception() for future in done):
            break
        under_way = [meter for meter in meters if meter.begun and not meter.done]
        for meter in under_way:
            progress.say(f"{meter} so far")
        if under_way:
            progress.observe({meter.name: meter.facts() for meter in under_way})
    progress.observe({meter.name: meter.facts() for meter in meters if meter.begun})
