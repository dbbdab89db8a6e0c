"""Loading one file into a table of the run's schema: GDAL reads, Postgres copies, this counts.

psycopg and pyarrow are imported where they are used: definitions import this module, and start 0.25 s sooner without
them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrane.ahead import read_ahead
from terrane_spatial.errors import BatchRejectedError, StageError
from terrane_spatial.files.formats import of_path
from terrane_spatial.identifiers import launder_all
from terrane_spatial.intake.manifest import ManifestFile
from terrane_spatial.loading import copy_format
from terrane_spatial.loading.column_values import NotUtf8Error, plain, plain_type
from terrane_spatial.loading.meter import Meter
from terrane_spatial.loading.postgres_copy import copy_rows
from terrane_spatial.loading.table_checks import layer_facts, mend_and_check, require_narrow
from terrane_spatial.loading.verification import require_the_same
from terrane_spatial.reading import vector_reader
from terrane_spatial.reading.layer import EVERY, GEOMETRY, TEXT
from terrane_spatial.reading.reference_system import place
from terrane_spatial.reading.vector_reader import ByHandError, How, OtherTimesError, Wanted
from terrane_spatial.sandbox.endings import beside_control

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

    from terrane_spatial.reading.layer import Layer, Met

# What a published table has beside the layer's columns: a box that GeoParquet's readers skip by.
RESERVED = frozenset({GEOMETRY, "bbox"})
# Drivers whose text GDAL may not know how to read; the readers by hand know more encodings.
WITH_TEXT_BY_HAND = frozenset({"ESRI Shapefile", "CSV"})
# Of one file: a row that PostGIS refuses, and columns of times that differ. After these all times are text.
MAX_TRIES = 5


class RowRefusedError(BatchRejectedError):
    """PostGIS takes a row for no geometry, or for none that it can hold."""


@dataclass(frozen=True)
class Loaded:
    """A table that was loaded: its rows, the EPSG number of its geometry, and what was met on the way."""

    table: str
    rows: int
    srid: int
    facts: dict[str, Any] = field(default_factory=dict)


def load_file(
    connection: psycopg.Connection,
    path: Path,
    file: ManifestFile,
    meter: Meter | None = None,
    beside: Sequence[psycopg.Connection] = (),
) -> Loaded:
    """Loads the file into an unlogged table named for it, which is gone again when this fails.

    What GDAL would change is read once more, by hand.

    Args:
        connection: of the run, in autocommit.
        meter: what counts the rows while they are sent.
        beside: further connections to copy over; GDAL then reads with as many threads as there are connections.

    Raises:
        BatchRejectedError: the content is not what it must be.
        FileCrashedError: the file alone ended the process that read it.
        StageError: something of ours failed.
        StoppedError: the meter was told to stop.
    """
    meter, connections = meter or Meter(file.key), [connection, *beside]
    kind = of_path(path)
    return beside_control(
        lambda: _in_its_encoding(connections, path, file, meter), lambda: vector_reader.read_control(kind)
    )


def _in_its_encoding(connections: Sequence[psycopg.Connection], path: Path, file: ManifestFile, meter: Meter) -> Loaded:
    try:
        return _loaded(connections, path, file, How(), meter)
    except NotUtf8Error as error:
        told = f"not {file.encoding}, as the manifest says" if file.encoding else "not UTF-8"
        reason = f"{file.key}: the text of column {error.column!r} is {told}"
        if of_path(path).driver not in WITH_TEXT_BY_HAND:
            raise BatchRejectedError(f"{reason}; give the manifest's file the field encoding") from None
    return _loaded(connections, path, file, How(by_hand=reason), meter)


def _loaded(
    connections: Sequence[psycopg.Connection], path: Path, file: ManifestFile, how: How, meter: Meter
) -> Loaded:
    """The file, loaded; again, when the try before has told how its rows or its times are to be taken.

    Where PostGIS refused a row, that row is rejected before it gets there.
    """
    for _ in range(MAX_TRIES):
        try:
            return _load(connections, path, file, meter, how)
        except RowRefusedError:
            if how.strict:
                raise
            how = replace(how, strict=True)
        except ByHandError as error:
            if how.by_hand:
                raise
            if not of_path(path).driver:
                # GeoParquet is read by Arrow alone, which no reader by hand stands in for: what two of ours read
                # differently is no fault of the file's that anybody has seen.
                raise StageError(f"{error}. The batch is unharmed; report this") from error
            how = replace(how, by_hand=str(error))
        except OtherTimesError as error:
            how = replace(how, times={**how.times, **error.times})
    return _load(connections, path, file, meter, replace(how, times={EVERY: TEXT}, strict=True))


def _load(
    connections: Sequence[psycopg.Connection],
    path: Path,
    file: ManifestFile,
    meter: Meter,
    how: How,
) -> Loaded:
    import psycopg

    meter.begin()
    counts: Counter[str] = Counter()
    connection = connections[0]
    wanted, how = Wanted(file.layer, file.encoding, file.crs), replace(how, threads=len(connections))
    with vector_reader.read(path, file.key, wanted, how) as (layer, reader):
        placed = place(file.key, layer.system, file.crs)
        number = placed.srid
        names = launder_all([n for n in reader.schema.names if n != layer.geometry_column], RESERVED)
        names[layer.geometry_column] = GEOMETRY
        _known_to_postgis(connection, file.key, number)
        require_narrow(
            file.key, {names[f.name]: plain_type(f.type) for f in reader.schema if names[f.name] != GEOMETRY}
        )
        table = _create_table_statement(file.table, reader.schema, names, number)
        try:
            with _made(connection, file.table, table):
                pieces = _encoded(reader, layer.geometry_column, counts)
                rows = copy_rows(connections, file.table, read_ahead(pieces), meter)
                compared = require_the_same(path, file, layer, reader, how)
                _require_rows(file.key, layer, reader.met, rows)
                renamed = {old: new for old, new in names.items() if old != new and old != layer.geometry_column}
                with connection.transaction():
                    facts = {
                        **layer_facts(layer, reader.met),
                        **counts,
                        **mend_and_check(connection, file.key, file.table, reader.met, placed),
                        **({"renamed": renamed} if renamed else {}),
                        **compared,
                        **_as_text(how.times),
                    }
                    connection.execute(
                        "insert into _loads (table_name, rows, srid, facts) values (%s, %s, %s, %s)",
                        [file.table, reader.met.rows, number, json.dumps(facts)],
                    )
        except psycopg.InternalError as error:
            told = error.diag.message_primary or error
            if not how.strict:
                raise RowRefusedError(f"{file.key}: PostGIS refuses a row: {told}") from error
            # Every geometry was parsed before it was sent, so what PostGIS says now is not of a row.
            raise StageError(
                f"{file.key}: Postgres failed while it was loaded: {told} (SQLSTATE {error.sqlstate}). The batch is "
                "unharmed; see Postgres' log, then re-execute the run"
            ) from error
        except psycopg.DataError as error:
            raise RowRefusedError(
                f"{file.key}: PostGIS refuses a row: {error.diag.message_primary or error}"
            ) from error
    meter.end()
    return Loaded(file.table, rows, number, facts)


@contextmanager
def _made(connection: psycopg.Connection, table: str, statement: str) -> Iterator[None]:
    """Makes the table, which every connection then sees; drops it again when what follows fails."""
    import psycopg

    connection.execute(statement.encode())
    try:
        yield
    except BaseException:
        # A connection that is lost leaves the table to the end of the run, which drops its schema.
        with suppress(psycopg.Error):
            connection.execute(f'drop table "{table}"'.encode())
        raise


def _require_rows(name: str, layer: Layer, met: Met, rows: int) -> None:
    if met.rows == 0:
        raise BatchRejectedError(f"{name}: its layer {layer.layer} has no features")
    if layer.driver == "CSV" and not met.types:
        raise BatchRejectedError(f"{name}: it has columns for coordinates, and no row with any")
    if rows == 0:
        raise BatchRejectedError(f"{name}: every row of its layer {layer.layer} has {', '.join(met.rejected)}")


def _as_text(times: Mapping[str, str]) -> dict[str, Any]:
    """Of columns of times, those that stay text because some of their values tell a zone and some do not."""
    columns = ["all columns" if name == EVERY else name for name, kind in times.items() if kind == TEXT]
    return {"times left as text, for only some tell their zone": columns} if columns else {}


def _known_to_postgis(connection: psycopg.Connection, name: str, number: int) -> None:
    if not connection.execute("select 1 from spatial_ref_sys where srid = %s", [number]).fetchone():
        raise BatchRejectedError(f"{name}: PostGIS knows no EPSG:{number}")


def _create_table_statement(table: str, schema: pa.Schema, names: dict[str, str], number: int) -> str:
    types = {
        f.name: f"geometry(Geometry, {number})" if names[f.name] == GEOMETRY else plain_type(f.type) for f in schema
    }
    columns = ", ".join(f'"{names[name]}" {kind}' for name, kind in types.items())
    return f'create unlogged table "{table}" ({columns})'


def _encoded(
    reader: Iterable[pa.RecordBatch], geometry: str, counts: Counter[str]
) -> Iterator[tuple[int, list[memoryview | bytes]]]:
    """For every batch its rows, and its pieces of the COPY stream."""
    import pyarrow as pa

    for batch in reader:
        columns = [
            column if name == geometry else plain(column, name, counts)
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        ]
        made = pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
        yield made.num_rows, copy_format.encode(made)
