"""Reading a spatial file through the process of `reading.child`, as Arrow batches in constant memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.files.formats import of_path
from terrane_spatial.reading import gdal_process
from terrane_spatial.reading.gdal_process import STOP_TIMEOUT_S, GdalProcess
from terrane_spatial.reading.layer import Layer, Met, size_of
from terrane_spatial.reading.reference_system import System
from terrane_spatial.sandbox import gdal_settings
from terrane_spatial.sandbox.child_process import ending
from terrane_spatial.sandbox.protocol import REFUSED, Limits

if TYPE_CHECKING:
    import pyarrow as pa

# Of rows as small as points, 4096 take a twentieth longer; of large ones the bytes are the bound.
BATCH_ROWS = 8192
BATCH_BYTES = 2 << 20
# Rows in Arrow may take so many times the file's bytes; no format packs that densely what people send.
FREE_BYTES, MAX_RATIO = 1 << 30, 200
WALL_BYTES_PER_S, CPU_BYTES_PER_S = 200_000, 1_000_000


def limits_of_size(size: int) -> Limits:
    """Limits for a file of that many bytes: a hundredth of the speed that slow formats are read at is enough."""
    return Limits(wall_s=300 + size / WALL_BYTES_PER_S, cpu_s=60 + size // CPU_BYTES_PER_S)


class OtherTimesError(BatchRejectedError):
    """A column's times are of another kind than they were taken for; `times` says which, for another try."""

    def __init__(self, message: str, times: dict[str, str]):
        self.times = times
        super().__init__(message)


class RecordBatches:
    """The batches of a layer, to be read once; then `met` has what was met in its geometries."""

    def __init__(self, reader: pa.RecordBatchReader, finish: Callable[[], Met]):
        self.schema = reader.schema
        self.met = Met()
        self._reader = reader
        self._finish = finish

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        yield from self._reader
        self.met = self._finish()


def prepare() -> None:
    """Does once in a process what the first file would wait for: a third of a second, to be had while it is fetched."""
    gdal_settings.registered(gdal_settings.LIST_VECTOR_DRIVERS)
    _libraries()


@contextmanager
def read(
    path: Path,
    name: str,
    layer: str | None = None,
    encoding: str | None = None,
    limits: Limits | None = None,
    strict: bool = False,
    times: Mapping[str, str] | None = None,
    threads: int = 1,
) -> Iterator[tuple[Layer, RecordBatches]]:
    """The layer and its batches; geometry is WKB in the column the layer names.

    Args:
        path: an absolute path we chose, of a regular file or a geodatabase's folder; its suffix is its format's.
        name: what to call the file in messages.
        layer: which one, needed only where there are several.
        encoding: of the file's text, where the file does not say.
        limits: what reading may cost; by the file's size unless given.
        strict: whether every geometry is parsed, which takes longer, to reject the row that PostGIS would refuse.
        times: what columns of times hold, where an earlier try told.
        threads: with which GDAL may read, where its driver can.

    Raises:
        OtherTimesError: times of a column differ from those of its first batch; also while batches are read.
        BatchRejectedError: the file cannot be read, or costs more than the limits; also while batches are read.
    """
    if path.is_symlink() or not (path.is_file() or (path.is_dir() and path.suffix == ".gdb")):
        raise ValueError(f"{path} is no regular file")
    size = size_of(path)
    limits, kind = limits or limits_of_size(size), of_path(path)
    request = {
        "source": {
            "path": str(path),
            "driver": kind.driver,
            "title": kind.title,
            "layer": layer,
            "encoding": encoding,
            "options": dict(kind.options),
            "times": dict(times or {}),
        },
        "batch_rows": BATCH_ROWS,
        "batch_bytes": BATCH_BYTES,
        "strict": strict,
        "most_bytes": max(FREE_BYTES, size * MAX_RATIO),
        "limits": limits.of_process(),
        "settings": gdal_settings.of_file(kind.driver, threads),
    }
    with _process() as process:
        expired = threading.Event()
        timer = threading.Timer(limits.wall_s, _give_up, (process, expired))
        timer.start()
        try:
            process.ask(request)
            reader = _libraries().ipc.open_stream(process.output)
            facts = json.loads(reader.schema.metadata[b"layer"])
            yield _layer(facts), RecordBatches(reader, lambda: _met(name, process, limits, expired))
            # The timer ends what does not end; a wait with a limit of its own would poll, and lose 50 ms.
            process.popen.wait()
        except (_libraries().ArrowInvalid, OSError) as error:
            process.popen.wait(STOP_TIMEOUT_S)
            raise _rejection(name, process, limits, expired) or error from error
        finally:
            timer.cancel()
        if rejection := _rejection(name, process, limits, expired):
            raise rejection


def _libraries() -> Any:
    """pyarrow, with what else loading a file takes; the first time, imported while the child does the same."""
    import numpy as np  # noqa: F401
    import pyarrow as pa
    import pyarrow.compute as pc  # noqa: F401

    return pa


def _layer(facts: dict[str, Any]) -> Layer:
    system = facts.pop("system")
    return Layer(**{**facts, "system": System(**system) if system else None})


@contextmanager
def _process() -> Iterator[GdalProcess]:
    process = gdal_process.take()
    try:
        yield process
    finally:
        process.end()


def _met(name: str, process: GdalProcess, limits: Limits, expired: threading.Event) -> Met:
    """What the process says it met, once it has ended. Raises BatchRejectedError when it did not end well.

    A stream that stops short between two messages looks like one that is whole.
    """
    process.popen.wait()
    if rejection := _rejection(name, process, limits, expired):
        raise rejection
    return Met.from_dict(json.loads(process.last_line())["met"])


def _give_up(process: GdalProcess, expired: threading.Event) -> None:
    expired.set()
    process.popen.kill()


def _rejection(name: str, process: GdalProcess, limits: Limits, expired: threading.Event) -> BatchRejectedError | None:
    """Why the process ended, when it did not end well."""
    code = process.popen.returncode
    if code == 0:
        return None
    if expired.is_set():
        return BatchRejectedError(f"{name}: reading it took longer than {limits.wall_s:.0f} s")
    last = process.last_line()
    if code == REFUSED:
        return _refusal(name, json.loads(last))
    return BatchRejectedError(f"{name}: reading it ended {ending(code)}: {last or 'no message'}")


def _refusal(name: str, told: dict[str, Any]) -> BatchRejectedError:
    if "times" in told:
        return OtherTimesError(f"{name}: times of its columns {', '.join(told['times'])} differ in kind", told["times"])
    return BatchRejectedError(f"{name}: {told['refused']}")
