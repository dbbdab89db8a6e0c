"""GeoPackage (OGC 12-128r19) by SQLite alone: nothing of the file is run that its schema does not need."""

from __future__ import annotations

import sqlite3
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from terrane_spatial.reading.child.flatten import to_two_dimensions
from terrane_spatial.reading.child.records.table import (
    DATES,
    FLAGS,
    PLAIN,
    TIMES,
    UNREADABLE,
    Access,
    Record,
    Table,
    UnsupportedError,
)
from terrane_spatial.reading.source import Source
from terrane_spatial.sandbox.protocol import RefusedError

# Table 1 of the specification, and what GDAL reads as one of them; columns of other types are taken as text.
KNOWN_TYPES = frozenset(
    (
        *("BOOLEAN", "TINYINT", "SMALLINT", "MEDIUMINT", "INT", "INTEGER", "FLOAT", "DOUBLE", "REAL"),
        *("TEXT", "BLOB", "DATE", "DATETIME", "NUMERIC", "INT2"),
    )
)
TAKEN_AS = {"DATE": DATES, "DATETIME": TIMES, "BOOLEAN": FLAGS}
# Keys that writers make up where a table has none, and which say nothing.
MADE_UP_KEYS = frozenset({"fid", "ogc_fid"})
ENVELOPES = {0: 0, 1: 32, 2: 48, 3: 48, 4: 64}
EMPTY_FLAG, LITTLE_FLAG, EXTENDED_FLAG = 0x10, 0x01, 0x20
MOST_VALUE_BYTES = 1 << 30
KEYS_AT_ONCE = 500


def connect(path: str) -> sqlite3.Connection:
    """Opens the file as it lies there, which nobody writes: no journal is looked for, no lock taken."""
    connection = sqlite3.connect(f"file:{_in_uri(path)}?mode=ro&immutable=1", uri=True)
    connection.execute("pragma trusted_schema = off")
    connection.execute("pragma query_only = on")
    # Mapped, the file would count as this process' memory, page by page all of it.
    connection.execute("pragma mmap_size = 0")
    if hasattr(connection, "setlimit"):
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_VALUE_BYTES)
    return connection


def _in_uri(path: str) -> str:
    """The path as SQLite's URIs have it (sqlite.org/uri.html, 3.1)."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def open_geopackage(source: Source) -> Table:
    try:
        return _opened(connect(source.path), str(source.layer))
    except sqlite3.DatabaseError as error:
        raise UnsupportedError(f"SQLite: {error}") from None


def described(connection: sqlite3.Connection, layer: str) -> tuple[list[tuple[str, str, int]], str, str | None]:
    """The table's columns as name, declared type and place in the key; its geometry; and its key of one integer."""
    columns = [
        (name, kind.strip(), key)
        for _, name, kind, _, _, key in connection.execute(f"pragma table_info({_quoted(layer)})")
    ]
    found = connection.execute(
        "select column_name from gpkg_geometry_columns where lower(table_name) = lower(?)", [layer]
    ).fetchone()
    if not columns or found is None:
        raise UnsupportedError(f"there is no table of features {layer}")
    keys = [name for name, kind, key in columns if key and kind.upper() == "INTEGER"]
    geometry = next((name for name, _, _ in columns if name.lower() == found[0].lower()), found[0])
    return columns, geometry, keys[0] if len([key for _, _, key in columns if key]) == 1 and keys else None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _opened(connection: sqlite3.Connection, layer: str) -> Table:
    columns, geometry, key = described(connection, layer)
    kept = [(n, k) for n, k, _ in columns if n != geometry and not (n == key and n.lower() in MADE_UP_KEYS)]
    bases = {name: kind.partition("(")[0].strip().upper() for name, kind in kept}
    odd = {name for name, base in bases.items() if base not in KNOWN_TYPES}
    chosen = ", ".join(_quoted(name) for name in [*(n for n, _ in kept), geometry])
    select = f"select {chosen} from {_quoted(layer)}"  # noqa: S608
    keyed = f"select rowid, {chosen} from {_quoted(layer)}"  # noqa: S608
    srs = connection.execute(
        "select srs_id from gpkg_geometry_columns where lower(table_name) = lower(?)", [layer]
    ).fetchone()[0]
    odd_places = [at for at, (name, _) in enumerate(kept) if name in odd]
    contradicting: Counter[int] = Counter()

    def record(row: tuple[Any, ...]) -> Record:
        values: Sequence[Any] = row[:-1]
        if odd_places:
            values = list(values)
            for at in odd_places:
                values[at] = _as_text(values[at])
        number, made = _geometry(row[-1])
        table.flattened += _is_shorter(made, row[-1])
        if number not in (None, srs):
            contradicting[number] += 1  # type: ignore[index]
        return Record(values, made)

    def every() -> Iterator[Record]:
        contradicting.clear()
        table.flattened = 0
        return _refused(map(record, connection.execute(select)))

    def columns_at(keys: Sequence[int]) -> tuple[list[Sequence[Any]], Sequence[bytes | None]]:
        rows: list[tuple[Any, ...]] = []
        for begin in range(0, len(keys), KEYS_AT_ONCE):
            wanted = list(keys[begin : begin + KEYS_AT_ONCE])
            places = ", ".join("?" * len(wanted))
            read = connection.execute(f"{keyed} where rowid in ({places})", wanted).fetchall()
            if [row[0] for row in read] != wanted:
                found = {row[0]: row for row in read}
                read = [found.get(one) or (one, *[None] * (len(kept) + 1)) for one in wanted]
            rows += read
        _, *held, blobs = zip(*rows, strict=True)
        columns: list[Sequence[Any]] = list(held)
        for at in odd_places:
            columns[at] = [_as_text(value) for value in columns[at]]
        return columns, _geometries(blobs, srs)

    texts = {name: PLAIN if name in odd else TAKEN_AS.get(base, PLAIN) for name, base in bases.items()}
    table = Table([name for name, _ in kept], every, Access(columns_at=columns_at if key else None), texts)
    table.count = connection.execute(f"select count(*) from {_quoted(layer)}").fetchone()[0]  # noqa: S608
    if key and key.lower() in MADE_UP_KEYS:
        table.left_out[key] = "a key that its writer made up"
    if contradicting is not None:
        table.facts["geometries that say another reference system than their table"] = contradicting
    return table


def _refused(records: Iterator[Record]) -> Iterator[Record]:
    try:
        yield from records
    except sqlite3.OperationalError as error:
        if "UTF-8" in str(error):
            raise RefusedError(f"it holds text that is not UTF-8: {error}") from None
        raise RefusedError(f"SQLite cannot read it: {error}") from None
    except sqlite3.DatabaseError as error:
        raise RefusedError(f"SQLite cannot read it: {error}") from None


def _as_text(value: Any) -> Any:
    return value if value is None or isinstance(value, str | bytes) else str(value)


def _is_shorter(made: bytes | None, blob: Any) -> bool:
    """Whether the WKB was made of a blob's by leaving heights or measures out."""
    return made not in (None, UNREADABLE) and len(made) < len(blob) - 8 - ENVELOPES[(blob[3] >> 1) & 7]


def _geometries(blobs: Sequence[Any], srs: int) -> Sequence[bytes | None]:
    """The WKB of blobs. Those of most files have one head and are plain: they are cut without looking at each."""
    heads = {blob[:8] for blob in blobs if type(blob) is bytes}
    if len(heads) == 1 and None not in blobs and next(iter(heads)) in _plain_heads(srs):
        begin = 8 + ENVELOPES[(next(iter(heads))[3] >> 1) & 7]
        made = [blob[begin:] for blob in blobs]
        if all(head[:1] == b"\x01" and head[1:] in PLAIN_HEADS for head in {wkb[:5] for wkb in made}):
            return made
    return [_geometry(blob)[1] for blob in blobs]


def _plain_heads(srs: int) -> set[bytes]:
    """The heads of GeoPackageBinary that say nothing but the layer's system and a box in two dimensions, or none."""
    return {struct.pack("<2sBBi", b"GP", 0, flags, srs) for flags in (0b1, 0b11)}


def _geometry(blob: Any) -> tuple[int | None, bytes | None]:
    """The system that a GeoPackageBinary names, and its WKB in two dimensions."""
    if blob is None:
        return None, None
    if not isinstance(blob, bytes) or len(blob) < 8 or blob[:2] != b"GP":
        return None, UNREADABLE
    flags = blob[3]
    envelope = ENVELOPES.get((flags >> 1) & 7)
    if envelope is None or flags & EXTENDED_FLAG:
        return None, UNREADABLE
    (number,) = struct.unpack_from("<i" if flags & LITTLE_FLAG else ">i", blob, 4)
    wkb = blob[8 + envelope :]
    # ISO WKB that is little endian and has two dimensions already is what most files hold.
    if wkb[:1] == b"\x01" and wkb[1:5] in PLAIN_HEADS and wkb[1] < 4:
        return number, wkb
    return number, to_two_dimensions(wkb) or UNREADABLE


PLAIN_HEADS = frozenset(struct.pack("<I", code) for code in range(1, 7))
