"""What a file loads as, held beside what its second reader finds in it: all rows of the table, after everything.

The load compares what was read before it is copied; this compares what came to lie in Postgres, with the file read
once more. A difference is told where the report of the load names its column, or says of what kind it is.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg import sql

from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.files.formats import of_path
from terrane_spatial.identifiers import launder_all
from terrane_spatial.intake.manifest import ManifestFile
from terrane_spatial.loading.table_loader import GEOMETRY, RESERVED, Loaded
from terrane_spatial.reading import second_reader
from terrane_spatial.reading.child.flatten import to_two_dimensions
from terrane_spatial.reading.gdal_process import GdalProcess
from terrane_spatial.reading.layer import size_of
from terrane_spatial.reading.same_values import same
from terrane_spatial.reading.second_reader import NOT_READ, Compared
from terrane_spatial.reading.source import Source
from terrane_spatial.reading.vector_reader import limits_of_size
from terrane_spatial.sandbox import gdal_settings

if TYPE_CHECKING:
    import psycopg

EQUAL, DIFFERENT, UNTOLD, ALONE = "equal", "different, and told", "different, untold", "no second reader"
CLOCK = re.compile(r"(\d\d:\d\d:\d\d)(?:\.(\d+))?")
MOST_LOOKED_AT = 1000
# What the report of a load says of geometries as a whole.
MOVED = ("brought to EPSG:4326 from", "coordinates", "curves drawn as lines")


@dataclass
class Equality:
    """What the comparison found.

    Attributes:
        equality: EQUAL, DIFFERENT, UNTOLD or ALONE.
        differences: what differs, by column, each with a row and both values.
    """

    equality: str = EQUAL
    differences: dict[str, str] = field(default_factory=dict)
    why: str = ""


def compare(connection: psycopg.Connection, path: Path, file: ManifestFile, loaded: Loaded) -> Equality:
    found = Compared()
    rows = chain.from_iterable(_rows(chunk) for chunk in _second(path, file, loaded, found))
    try:
        differences = _different(connection, loaded, rows, found)
    except (EOFError, BatchRejectedError) as error:
        return Equality(ALONE, why=str(error))
    if not differences:
        return Equality()
    told = json.dumps(loaded.facts, ensure_ascii=False)
    untold = {name for name in differences if f'"{name}"' not in told}
    return Equality(UNTOLD if untold else DIFFERENT, differences)


def _second(path: Path, file: ManifestFile, loaded: Loaded, found: Compared) -> Iterator[second_reader.Chunk]:
    """All rows of the second reader. Raises EOFError where there is none for the file."""
    kind = of_path(path)
    layer = loaded.facts["layer"]
    source = Source(str(path), kind.driver, kind.title, layer, file.encoding, dict(kind.options))
    process = GdalProcess(second_reader.SECOND)
    try:
        process.ask(
            {
                "source": source._asdict(),
                "strict": False,
                "limits": limits_of_size(size_of(path)).of_process(),
                "settings": gdal_settings.of_file(kind.driver),
                "readable": [str(path.parent)],
                "places": None,
                "keys": None,
            }
        )
        yield from second_reader._chunks(process, found)
    finally:
        process.end()


def _rows(chunk: second_reader.Chunk) -> Iterator[tuple[dict[str, tuple[Any, bool]], Any]]:
    """Of each row its values by column, with whether they are JSON, and its geometry."""
    columns = {name: (column.to_pylist(), kind == "json") for name, (kind, column) in chunk.columns.items()}
    for at, geometry in enumerate(chunk.geometry.to_pylist()):
        yield {name: (values[at], is_json) for name, (values, is_json) in columns.items()}, geometry


def _different(connection: psycopg.Connection, loaded: Loaded, rows: Iterator[Any], found: Compared) -> dict[str, str]:
    table = sql.Identifier(loaded.table)
    connection.execute("set timezone to 'UTC'")
    # As EWKB, because plain WKB of PostGIS has no empty parts.
    shape = sql.SQL("select st_asewkb(st_setsrid(geometry, 0), 'NDR'), t.* from {} t").format(table)
    cursor = connection.execute(shape)
    names = [column.name for column in cursor.description or ()][1:]
    theirs = [(values, _normal(geometry)) for values, geometry in rows]
    ours = [(geometry, dict(zip(names, values, strict=True))) for geometry, *values in cursor.fetchall()]
    rejected = sum(loaded.facts.get("rejected", {}).values())
    if len(ours) + rejected != len(theirs):
        return {"rows": f"the file has {len(theirs)}, {len(ours)} were loaded and {rejected} rejected"}
    if rejected:
        return {}
    pairs = _pairs(names, list(dict.fromkeys(name for values, _ in theirs for name in values)), loaded)
    differences: dict[str, str] = {}
    for number, (geometry, mine), (others, shape_there) in _rows_paired(ours, theirs, pairs):
        for name, other in pairs.items():
            value, is_json = others.get(other, (None, False))
            if not _same(mine[name], value, is_json):
                differences.setdefault(other, f"row {number}: {value!r} is loaded as {mine[name]!r}"[:300])
        if not _same_shape(geometry, shape_there, loaded):
            differences.setdefault(GEOMETRY, f"row {number}: another geometry")
    for name in {name for values, _ in theirs for name, (v, _) in values.items() if v is not None} - {*pairs.values()}:
        differences.setdefault(name, "the table has no such column")
    return differences


def _rows_paired(ours: list[Any], theirs: list[Any], pairs: dict[str, str]) -> Iterator[tuple[int, Any, Any]]:
    """Each row of the file, by its number, with the table's that is most like it, and each of those once.

    A table has no order: a short row goes into a page that a long one left room in. Rows of the same geometry and
    values are paired first, then those of the same values, of the same geometry, and last those that are left.
    """
    left = dict(enumerate(theirs, start=1))
    for by_geometry, by_values in ((True, True), (False, True), (True, False), (False, False)):
        alike: dict[Any, list[Any]] = {}
        for row in ours:
            alike.setdefault(_shape_key(row[0]) if by_geometry else None, []).append(row)
        for number, (others, geometry) in list(left.items()):
            candidates = alike.get(_shape_key(geometry) if by_geometry else None, [])
            for at, (_, mine) in enumerate(candidates[:MOST_LOOKED_AT]):
                if not by_values or _all_same(mine, others, pairs):
                    yield number, candidates.pop(at), left.pop(number)
                    break
        ours = [row for rows in alike.values() for row in rows]


def _normal(geometry: Any) -> Any:
    """WKB as Postgres writes it: of little endian; what cannot be read stays as it is."""
    return to_two_dimensions(geometry) or geometry if geometry and geometry[:1] == b"\0" else geometry


def _shape_key(geometry: Any) -> bytes:
    """The bytes of a geometry, in whichever order its rings are."""
    return b"" if geometry is None else bytes(sorted(bytes(geometry)))


def _all_same(mine: dict[str, Any], others: dict[str, tuple[Any, bool]], pairs: dict[str, str]) -> bool:
    return all(_same(mine[name], *others.get(other, (None, False))) for name, other in pairs.items())


def _pairs(names: list[str], others: list[str], loaded: Loaded) -> dict[str, str]:
    """The second reader's column of each of the table's."""
    renamed = {new: old for old, new in loaded.facts.get("renamed", {}).items()}
    laundered = {new: old for old, new in launder_all(others, RESERVED).items()}
    mine = [name for name in names if name != GEOMETRY]
    found = {}
    for name in mine:
        old = renamed.get(name, name)
        other = old if old in others else laundered.get(name)
        if other is not None:
            found[name] = other
    if len(found) < len(mine) and len(mine) == len(others):
        return dict(zip(mine, others, strict=True))
    return found


def _same(ours: Any, theirs: Any, is_json: bool) -> bool:
    if is_json and isinstance(theirs, str):
        theirs = json.loads(theirs)
    if isinstance(ours, memoryview):
        ours = bytes(ours)
    if isinstance(ours, str) and isinstance(theirs, str) and "\0" in theirs:
        theirs = theirs.replace("\0", "")
    if ours is None:
        return theirs is None or theirs == "" or (isinstance(theirs, float) and math.isnan(theirs))
    return same(ours, theirs) or str(ours) == str(theirs) or _same_clock(ours, theirs) or _same_nested(ours, theirs)


def _same_clock(ours: Any, theirs: Any) -> bool:
    """Whether both are a time of day, and the same, however many digits of it are written.

    Python's times have no nanoseconds; of those the text of ours is looked at to the sixth digit.
    """
    times = [_clock(value) for value in (ours, theirs)]
    return times[0] is not None and times[0] == times[1]


def _clock(value: Any) -> dt.time | None:
    if isinstance(value, str) and (found := CLOCK.fullmatch(value.strip('"'))):
        with suppress(ValueError):
            return dt.time.fromisoformat(f"{found[1]}.{found[2] or '':0<6.6}")
    return value if isinstance(value, dt.time) else None


def _same_nested(ours: Any, theirs: Any) -> bool:
    """Whether our text is JSON of their list, map or structure."""
    if not isinstance(ours, str) or not isinstance(theirs, list | tuple | dict):
        return False
    try:
        return _same_part(json.loads(ours), theirs)
    except ValueError:
        return False


def _same_part(ours: Any, theirs: Any) -> bool:
    if isinstance(theirs, list | tuple):
        same_size = isinstance(ours, list) and len(ours) == len(theirs)
        return same_size and all(map(_same_part, ours, theirs))
    if isinstance(theirs, dict):
        same_names = isinstance(ours, dict) and ours.keys() == theirs.keys()
        return same_names and all(_same_part(ours[name], theirs[name]) for name in theirs)
    if isinstance(theirs, bytes):
        return ours == base64.b64encode(theirs).decode()
    return _same(ours, theirs, False) and (ours is None) == (theirs is None or theirs != theirs)


def _same_shape(ours: Any, theirs: bytes | None, loaded: Loaded) -> bool:
    if theirs == NOT_READ or any(kind in loaded.facts for kind in MOVED):
        return True
    mine = None if ours is None else bytes(ours)
    return mine == theirs or bool(mine and theirs and second_reader._same_polygon(mine, theirs))
