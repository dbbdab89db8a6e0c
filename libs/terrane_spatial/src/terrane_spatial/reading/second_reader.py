"""Reading a file a second time, by a hand that shares nothing with the first, and comparing what both have read.

The number of rows is always compared. Every value is, of a layer that is held back whole; of a larger one those of a
sample. The process is confined as the one of the first reading is.

numpy and pyarrow are imported where they are used: definitions import this module, and start 0.15 s sooner without
them.
"""

# pyright: reportAttributeAccessIssue=false
# pyarrow makes its compute functions at import, where a type checker does not see them.

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrane_spatial.arrow_buffers import array_of, true_of, valid, values_of
from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.reading.clock import Clock
from terrane_spatial.reading.gdal_process import GdalProcess
from terrane_spatial.reading.same_values import unlike
from terrane_spatial.sandbox import child_process, endings, gdal_settings
from terrane_spatial.sandbox.protocol import REFUSED, Limits
from terrane_spatial.wkb import COLLECTION, rings_of, without_empty_holes

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from terrane_spatial.reading.held_rows import HeldRows

SECOND = child_process.command("terrane_spatial.reading.child.second_entry")
# The kinds of a chunk's columns, as `child.second` has them.
FLAGS, JSON, NOTHING = "flags", "json", "nothing"
UNREADABLE, NOT_READ = b"?", b"-"
POLYGONS = (b"\x03\0\0\0", b"\x06\0\0\0")
# Their second reader draws curves as lines.
DRAWING = frozenset({"MapInfo File", "OpenFileGDB", "DXF"})
MAX_VALUE_CHARS = 60


@dataclass(frozen=True)
class Chunk:
    """Some rows of the second reading: their places, their geometries, and their columns by name, each of a kind."""

    places: pa.Array
    geometry: pa.Array
    columns: dict[str, tuple[str, pa.Array]]


@dataclass
class Compared:
    """What the comparison found.

    Attributes:
        rows: that the second reader counts; None where there is none.
        values: how many rows' values are to be compared, and whether those are all.
        compared: how many were.
        differences: by column, in how many rows, with an example of each in words.
        whole: whether the second reader reads the layer by itself, geometries too.
        facts: what the second reader met.
        without: why there is no second reader.
    """

    rows: int | None = None
    values: int = 0
    compared: int = 0
    every: bool = False
    differences: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)
    whole: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    without: str | None = None

    def note(self, column: str, rows: int, example: str) -> None:
        """Counts rows of a column that differ; of the examples, which tell one of them, the first is kept."""
        self.counts[column] += rows
        self.differences.setdefault(column, example)

    def report(self) -> dict[str, Any]:
        """What the run's report says of it."""
        if self.without is not None:
            return {"no second reader": self.without}
        how = "all" if self.every else "a sample, with the first, the last, the longest and the extreme ones"
        return {"compared with a second reading": f"{self.rows} rows, the values of {self.values}: {how}"}


@dataclass(frozen=True)
class Reading:
    """The first reading, as far as the second has to know it.

    Attributes:
        source: the request's source, its layer chosen.
        geometry: the name of the column; None where its coordinates were changed, so that they cannot be compared.
        key: the column by whose values rows are found again; None where they are by their places.
        hidden: columns that are not of the layer.
        strict: whether every geometry was parsed, and written anew.
    """

    source: dict[str, Any]
    name: str
    geometry_column: str
    geometry_compared: bool
    key: str | None
    hidden: tuple[str, ...]
    limits: Limits
    strict: bool = False

    @property
    def by(self) -> str:
        """What read it first."""
        return "GDAL" if self.source["driver"] else "Arrow"


def compare(reading: Reading, held: HeldRows) -> Compared:
    """Compares the rows that are held with a second reading of them.

    Raises:
        BatchRejectedError: the second reader refuses the file, by its format's specification.
        StageError: its process ended otherwise.
    """
    places, first = held.table()
    if len(places) == 0:
        return Compared(without="no row was read")
    request = {
        "source": reading.source,
        "strict": reading.strict,
        "limits": reading.limits.of_process(),
        "settings": gdal_settings.of_file(reading.source["driver"]),
        "readable": [str(Path(reading.source["path"]).parent)],
        "places": None if held.whole else places.tolist(),
        "keys": None if held.whole or reading.key is None else first.column(reading.key).to_pylist(),
    }
    found = Compared(values=len(places), every=held.whole)
    process = GdalProcess(SECOND)
    clock = Clock(reading.limits.wall_s, process.kill)
    try:
        with clock.waiting():
            process.ask(request)
            for chunk in _chunks(process, found):
                _compare_chunk(reading, found, places, first, chunk)
            process.popen.wait()
    except (EOFError, OSError, ValueError) as error:
        if not process.has_ended():
            raise
        return _without(reading, process, clock, error)
    finally:
        clock.stop()
        process.end()
    if process.popen.returncode:
        return _without(reading, process, clock, None)
    return found


def _chunks(process: GdalProcess, found: Compared) -> Iterator[Chunk]:
    """The rows as the process sends them. Raises EOFError when it ends before it has sent all."""
    while line := process.output.readline():
        told = json.loads(line)
        if "end" in told:
            facts = told["end"]
            found.rows, found.whole, found.facts = facts["rows"], facts["whole"], facts["facts"]
            return
        # By their place, not by their names: a file's own column may have no name, which is the places'.
        sent = [
            (name, kind, _array(kind, told["rows"], _buffers(process, sizes))) for name, kind, sizes in told["columns"]
        ]
        _, _, places = sent.pop(0)
        if "arrow" in told:
            columns = _batch(told, process)
            _, geometry = columns.pop(told["geometry"])
        else:
            _, _, geometry = sent.pop()
            columns = {name: (kind, column) for name, kind, column in sent}
        yield Chunk(places, geometry, columns)
    raise EOFError(process.last_line())


def _buffers(process: GdalProcess, sizes: list[int]) -> list[bytes]:
    buffers = [process.output.read(size) for size in sizes]
    if any(len(buffer) != size for buffer, size in zip(buffers, sizes, strict=True)):
        raise EOFError(process.last_line())
    return buffers


def _batch(told: dict[str, Any], process: GdalProcess) -> dict[str, tuple[str, pa.Array]]:
    """The columns of a chunk that came as a stream of Arrow."""
    import pyarrow as pa

    (content,) = _buffers(process, [told["arrow"]])
    batch = pa.ipc.open_stream(content).read_next_batch()
    batch.validate(full=True)
    if batch.num_rows != told["rows"]:
        raise EOFError("a batch has other rows than its chunk")
    return {name: ("arrow", column) for name, column in zip(batch.schema.names, batch.columns, strict=True)}


def _array(kind: str, rows: int, buffers: list[bytes]) -> pa.Array:
    """A column of a chunk as Arrow's, whose buffers were written by a process that may have been taken over."""
    import numpy as np
    import pyarrow as pa

    if kind == NOTHING:
        return pa.nulls(rows)
    nulls, *values = buffers
    arrow = {"integers": pa.int64(), "floats": pa.float64(), FLAGS: pa.bool_(), "bytes": pa.binary()}.get(
        kind, pa.string()
    )
    if kind == FLAGS:
        values = [np.packbits(np.frombuffer(values[0], np.uint8), bitorder="little").tobytes()]
    bits = np.packbits(np.frombuffer(nulls, np.uint8) == 0, bitorder="little").tobytes() if nulls else None
    if nulls and len(nulls) != rows:
        raise EOFError("a column has other rows than its chunk")
    made = pa.Array.from_buffers(
        arrow, rows, [None if bits is None else pa.py_buffer(bits), *map(pa.py_buffer, values)]
    )
    made.validate(full=True)
    return made


def _without(reading: Reading, process: GdalProcess, clock: Clock, error: Exception | None) -> Compared:
    """What it means that the process did not end well."""
    code = process.popen.returncode
    if clock.expired:
        raise endings.took_too_long(reading.name, "reading it a second time", reading.limits.wall_s)
    last = process.last_line()
    if code == REFUSED:
        told = json.loads(last)
        if "refused" in told:
            raise BatchRejectedError(f"{reading.name}: {told['refused']}")
        return Compared(without=told["unsupported"])
    raise endings.failure(reading.name, "reading it a second time", code, last) from error


def _compare_chunk(reading: Reading, found: Compared, places: np.ndarray, first: pa.Table, chunk: Chunk) -> None:
    import numpy as np

    told = values_of(chunk.places)
    if not len(told):
        return
    begin, end = np.searchsorted(places, [told[0], told[-1] + 1])
    mine = first.slice(begin, end - begin).combine_chunks()
    at = np.searchsorted(told, places[begin:end])
    # Rows that the first reader rejected are not held; those that the second does not have end in another count.
    if not len(at) or (at >= len(told)).any() or (told[at] != places[begin:end]).any():
        return
    found.compared += len(at)
    taken = None if len(at) == len(told) else _places(at)
    pairs = _pairs(reading, first.schema.names, list(chunk.columns))
    for name, other in pairs.items():
        if other is not None:
            kind, column = chunk.columns[other]
            ours, theirs = _one_chunk(mine.column(name)), column if taken is None else column.take(taken)
            wrong = unlike(ours, theirs, kind == JSON)
            if len(wrong):
                first_wrong = int(wrong[0])
                values = f"the file has {_shown(theirs[first_wrong])}, {reading.by} reads {_shown(ours[first_wrong])}"
                found.note(name, len(wrong), f"row {places[begin + first_wrong] + 1}, column {name!r}: {values}")
    for name in set(chunk.columns) - set(pairs.values()):
        _, column = chunk.columns[name]
        if column.null_count < len(column) and name not in found.missing:
            found.missing.append(name)
    if reading.geometry_compared:
        theirs = chunk.geometry if taken is None else chunk.geometry.take(taken)
        _compare_geometry(reading, found, _one_chunk(mine.column(reading.geometry_column)), theirs, places[begin:end])


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _places(at: np.ndarray) -> pa.Array:
    import pyarrow as pa

    return array_of(at, pa.int64())


def _pairs(reading: Reading, names: list[str], theirs: list[str]) -> dict[str, str | None]:
    """The second's column for each of the first's, by name; where names may be cut, by place."""
    mine = [name for name in names if name != reading.geometry_column and name not in reading.hidden]
    lower = {name.casefold(): name for name in theirs}
    by_name = {name: name if name in theirs else lower.get(name.casefold()) for name in mine}
    if None in by_name.values() and len(mine) == len(theirs):
        return dict(zip(mine, theirs, strict=True))
    return by_name


def _compare_geometry(reading: Reading, found: Compared, ours: pa.Array, other: pa.Array, places: np.ndarray) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    other = other.cast(pa.binary()) if other.type == pa.null() else other
    wrong = np.flatnonzero(~(true_of(pc.equal(ours, other)) | (~valid(ours) & ~valid(other))))
    pairs = zip(wrong, ours.take(_places(wrong)).to_pylist(), other.take(_places(wrong)).to_pylist(), strict=True)
    rings_move = reading.source["driver"] == "ESRI Shapefile"
    drawn = reading.source["driver"] in DRAWING
    differing = [
        (at, b)
        for at, a, b in pairs
        if b != NOT_READ
        and not (rings_move and _same_polygon(a, b))
        and not (drawn and _is_curved(a))
        and not (reading.strict and b and a == without_empty_holes(b))
    ]
    for at, b in differing:
        what = "a geometry that cannot be read" if b == UNREADABLE else "another geometry" if b else "none"
        found.note(reading.geometry_column, 1, f"row {places[at] + 1}: the file has {what}")


def _is_curved(geometry: bytes | None) -> bool:
    """Whether it is of a type beyond collections: a curve, or a surface made of them."""
    return bool(geometry) and int.from_bytes(geometry[1:5], "little") > COLLECTION


def _same_polygon(first: bytes | None, second: bytes | None) -> bool:
    """Whether both are polygons of the same rings: each reader orders a shapefile's in its way."""
    if not first or not second or len(first) != len(second) or first[1:5] not in POLYGONS:
        return False
    ours, theirs = rings_of(first), rings_of(second)
    return ours is not None and theirs is not None and sorted(map(_points, ours)) == sorted(map(_points, theirs))


def _points(ring: bytes) -> list[bytes]:
    """The points of a ring in an order that is the same wherever it begins, and whichever way it goes."""
    points = [ring[at : at + 16] for at in range(0, len(ring), 16)]
    if len(points) > 1 and points[0] == points[-1]:
        points.pop()
    return min(_from_the_least(points), _from_the_least(points[::-1]))


def _from_the_least(points: list[bytes]) -> list[bytes]:
    """The rotation of the points that is the least; takes steps as there are points, however often one comes again.

    Two beginnings are compared at a time; the one that loses is passed by, with all that was equal after it.
    """
    size = len(points)
    first, second, equal = 0, 1, 0
    while first < size and second < size and equal < size:
        one, other = points[(first + equal) % size], points[(second + equal) % size]
        if one == other:
            equal += 1
            continue
        if one > other:
            first += equal + 1
        else:
            second += equal + 1
        if first == second:
            second += 1
        equal = 0
    least = min(first, second)
    return points[least:] + points[:least]


def _shown(value: Any) -> str:
    text = repr(value.as_py())
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[:MAX_VALUE_CHARS]}..."
