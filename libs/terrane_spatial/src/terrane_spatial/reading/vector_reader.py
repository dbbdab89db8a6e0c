"""Reading a spatial file through the process of `reading.child`, as Arrow batches in constant memory.

numpy and pyarrow are imported where they are used, beside the process that imports them as well: definitions import
this module, and start 0.15 s sooner without them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrane_spatial.errors import BatchRejectedError, StageError
from terrane_spatial.files.formats import Format, of_path
from terrane_spatial.reading import gdal_process
from terrane_spatial.reading.clock import Clock
from terrane_spatial.reading.gdal_process import GdalProcess
from terrane_spatial.reading.held_rows import HeldRows
from terrane_spatial.reading.layer import Layer, Met, size_of
from terrane_spatial.reading.reference_system import System
from terrane_spatial.sandbox import endings, gdal_settings
from terrane_spatial.sandbox.control import control_file
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


class ByHandError(BatchRejectedError):
    """GDAL would change something of the file; the message says what."""


class RecordBatches:
    """The batches of a layer, to be read once; then `met` has what was met in it.

    Attributes:
        schema: of the layer's columns.
        held: rows to compare with a second reading.
    """

    def __init__(self, name: str, reader: pa.RecordBatchReader, layer: Layer, clock: Clock, finish: Callable[[], Met]):
        self.hidden = (layer.key,) if layer.key_hidden and layer.key else ()
        self._names = [name for name in reader.schema.names if name not in self.hidden]
        self.schema = _libraries().schema([reader.schema.field(name) for name in self._names])
        self.met = Met()
        self.held = HeldRows(layer.features, layer.key)
        self._name, self._reader = name, reader
        self._clock = clock
        self._finish = finish
        self._place = self._arrived = 0
        self._gone: list[int] = []

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while (batch := self._next()) is not None:
            yield batch.select(self._names) if self.hidden else batch
        with self._clock.waiting():
            self.met = self._finish()
        rejected = sum(self.met.rejected.values())
        if self._arrived + rejected != self.met.rows:
            raise StageError(
                f"{self._name}: {self.met.rows} rows were read, {rejected} of them rejected, and {self._arrived} "
                "arrived. The batch is unharmed; report this"
            )

    def _next(self) -> pa.RecordBatch | None:
        with self._clock.waiting():
            try:
                batch, told = self._reader.read_next_batch_with_custom_metadata()
            except StopIteration:
                return None
        self._arrived += batch.num_rows
        self.held.add(self._places(batch.num_rows, told or {}), batch)
        return batch

    def _places(self, rows: int, told: Mapping[Any, Any]) -> Any:
        """The places in the file of a batch's rows: consecutive, but for those that were rejected."""
        import numpy as np

        if (first := int(told.get(b"first", -1))) >= 0:
            self._place, self._gone = first, json.loads(told[b"gone"])
        within = [at for at in self._gone if at >= self._place]
        if not within:
            places = np.arange(self._place, self._place + rows)
        else:
            span = np.arange(self._place, self._place + rows + len(within))
            places = np.setdiff1d(span, within, assume_unique=True)[:rows]
        self._place = int(places[-1]) + 1 if rows else self._place
        return places


def prepare() -> None:
    """Does once in a process what the first file would wait for: a third of a second, to be had while it is fetched."""
    gdal_settings.registered(gdal_settings.LIST_VECTOR_DRIVERS)
    _libraries()


@dataclass(frozen=True)
class Wanted:
    """What the manifest says of a file.

    Attributes:
        layer: which one, needed only where there are several.
        encoding: of the file's text, where the file does not say.
        crs: `EPSG:n`; without it, coordinates of a system without a number are brought to EPSG:4326.
    """

    layer: str | None = None
    encoding: str | None = None
    crs: str | None = None


@dataclass(frozen=True)
class How:
    """How a file is read, as tries before have told.

    Attributes:
        times: what columns of times are taken for.
        strict: whether every geometry is parsed, which takes longer, to reject the row that PostGIS would refuse.
        by_hand: why it is read by hand, where GDAL would change something; empty where GDAL reads it.
        threads: with which GDAL may read, where its driver can.
    """

    times: Mapping[str, str] = field(default_factory=dict)
    strict: bool = False
    by_hand: str = ""
    threads: int = 1


@contextmanager
def read(
    path: Path, name: str, wanted: Wanted | None = None, how: How | None = None, limits: Limits | None = None
) -> Iterator[tuple[Layer, RecordBatches]]:
    """The layer and its batches; geometry is WKB in the column the layer names.

    Args:
        path: an absolute path we chose, of a regular file or a geodatabase's folder; its suffix is its format's.
        name: what to call the file in messages.
        limits: what reading may cost; by the file's size unless given.

    Raises:
        OtherTimesError: times of a column differ from those of its first batch; also while batches are read.
        ByHandError: GDAL should not read it.
        BatchRejectedError: the process refused the file; also while batches are read.
        StageError: the process ended otherwise; CrashedError where the file may have caused that.
    """
    wanted, how = wanted or Wanted(), how or How()
    if path.is_symlink() or not (path.is_file() or (path.is_dir() and path.suffix == ".gdb")):
        raise ValueError(f"{path} is no regular file")
    size = size_of(path)
    limits, kind = limits or limits_of_size(size), of_path(path)
    request = {
        "source": {
            "path": str(path),
            "driver": kind.driver,
            "title": kind.title,
            "layer": wanted.layer,
            "encoding": wanted.encoding,
            "options": dict(kind.options),
            "times": dict(how.times),
        },
        "batch_rows": BATCH_ROWS,
        "batch_bytes": BATCH_BYTES,
        "strict": how.strict,
        "by_hand": bool(how.by_hand),
        "crs": wanted.crs,
        "most_bytes": max(FREE_BYTES, size * MAX_RATIO),
        "limits": limits.of_process(),
        "settings": gdal_settings.of_file(kind.driver, how.threads),
        "readable": [str(path.parent)],
    }
    with _process() as process:
        clock = Clock(limits.wall_s, process.kill)
        try:
            with clock.waiting():
                process.ask(request)
                reader = _libraries().ipc.open_stream(process.output)
            layer_read = _layer(json.loads(reader.schema.metadata[b"layer"]))
            yield layer_read, RecordBatches(name, reader, layer_read, clock, lambda: _met(name, process, limits, clock))
            # The clock ends what does not end; a wait with a limit of its own would poll, and lose 50 ms.
            with clock.waiting():
                process.popen.wait()
        except (_libraries().ArrowInvalid, OSError) as error:
            if not process.has_ended():
                raise
            raise _failure(name, process, limits, clock) or error from error
        finally:
            clock.stop()
        if failure := _failure(name, process, limits, clock):
            raise failure


def read_control(kind: Format) -> None:
    """Reads the control file of the format. Raises what `read` raises."""
    with control_file(kind) as path, read(path, f"the control file of {kind.title}") as (_, batches):
        for _ in batches:
            pass


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


def _met(name: str, process: GdalProcess, limits: Limits, clock: Clock) -> Met:
    """What the process says it met, once it has ended. Raises the failure when it did not end well.

    A stream that stops short between two messages looks like one that is whole.
    """
    process.popen.wait()
    if failure := _failure(name, process, limits, clock):
        raise failure
    return Met.from_dict(json.loads(process.last_line())["met"])


def _failure(name: str, process: GdalProcess, limits: Limits, clock: Clock) -> Exception | None:
    """Why the process ended, when it did not end well: only what it says against the file itself rejects the batch."""
    code = process.popen.returncode
    if code == 0:
        return None
    if clock.expired:
        return endings.took_too_long(name, "reading", limits.wall_s)
    last = process.last_line()
    if code == REFUSED:
        return _refusal(name, json.loads(last))
    return endings.failure(name, "reading", code, last)


def _refusal(name: str, told: dict[str, Any]) -> BatchRejectedError:
    if "by_hand" in told:
        return ByHandError(told["by_hand"])
    if "times" in told:
        return OtherTimesError(f"{name}: times of its columns {', '.join(told['times'])} differ in kind", told["times"])
    return BatchRejectedError(f"{name}: {told['refused']}")
