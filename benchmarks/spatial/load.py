"""Loading a GeoPackage into an unlogged table without an index: ours, ogr2ogr, and the floor, a COPY of ready bytes."""

from __future__ import annotations

import functools
import hashlib
import os
import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.spatial import server
from benchmarks.spatial.processes import Run, call, run
from terrane.postgres import PostgresResource

RUN_ID = "bench"
TABLE = "loaded"
READ_BYTES = 1 << 20
COLUMNS = """name text, category text, value double precision, cnt bigint, ts timestamptz, flag boolean,
geometry geometry(Geometry, 4326)"""


def environment(postgres: PostgresResource) -> dict[str, str]:
    """A contender's environment, with the server in it; libpq and ours read the password from there."""
    told = postgres.model_dump(include={"host", "port", "user", "password"})
    named = {f"BENCH_{name.upper()}": value for name, value in told.items()}
    return {**os.environ, **named, "BENCH_DB": postgres.database, "PGPASSWORD": postgres.password}


def ours(postgres: PostgresResource, path: Path, compared: bool = True) -> Run:
    """`load_file`, as a step calls it when `receive` has brought the file; its name is its table's.

    Args:
        compared: whether the file is read a second time; only to measure what that costs is it not.
    """
    _make_schema(postgres)
    spent = server.cpu_s(postgres)
    told = {"path": str(path), "sha256": _sha256(path), "compared": compared}
    done = call("load:ours_inside", environment(postgres), **told)
    with_server = done.told["cpu_s"] + server.cpu_s(postgres) - spent
    return replace(done, told={**done.told, "cpu_s_with_server": with_server})


def ours_inside(path: str, sha256: str, compared: bool) -> dict[str, Any]:
    from obstore.store import LocalStore

    from terrane_spatial.files.fetch import fetch_file
    from terrane_spatial.files.formats import FORMATS
    from terrane_spatial.intake.manifest import ManifestFile
    from terrane_spatial.loading.batch_loader import connections_for
    from terrane_spatial.loading.table_loader import load_file
    from terrane_spatial.reading import gdal_process, vector_reader
    from terrane_spatial.runs import run_schema

    if not compared:
        _read_once()
    postgres, source = PostgresResource.from_process("BENCH"), Path(path)
    file = ManifestFile(key=source.name, size=source.stat().st_size, sha256=sha256)
    with tempfile.TemporaryDirectory() as folder:
        # As `load_files` does, while it fetches the file.
        gdal_process.start_ahead()
        vector_reader.prepare()
        arrived = fetch_file(LocalStore(prefix=source.parent), file, Path(folder), FORMATS)
        # The file that ogr2ogr reads is not being written out meanwhile either.
        with arrived.open("rb") as written:
            os.fsync(written.fileno())
        with connections_for(arrived, lambda: run_schema.connect(postgres, RUN_ID)) as (connection, *beside):
            begun, spent = time.perf_counter(), _cpu_s()
            loaded = load_file(connection, arrived, file, beside=beside)
            seconds = time.perf_counter() - begun
            return {"seconds": seconds, "cpu_s": _cpu_s() - spent, "rows": loaded.rows}


def _cpu_s() -> float:
    """CPU seconds of this process and of those it has started and seen end; the server's are not among them."""
    spent = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)


def _read_once() -> None:
    """Takes the second reading out, with all that is held for it."""
    from terrane_spatial.reading import second_reader
    from terrane_spatial.reading.held_rows import HeldRows
    from terrane_spatial.reading.second_reader import Compared

    HeldRows.add = lambda *_: None  # type: ignore[method-assign]
    second_reader.compare = lambda *_: Compared(without="it is measured without")


def ogr2ogr(postgres: PostgresResource, path: Path) -> Run:
    """Debian's, into a table that is there already, because a table it makes has a primary key to maintain."""
    server.drop(postgres, "ogr")
    with postgres.connect() as connection:
        connection.execute(f"create unlogged table ogr ({COLUMNS})".encode())
    server.settle(postgres)
    target = f"PG:host={postgres.host} port={postgres.port} user={postgres.user} dbname={postgres.database}"
    command = ["ogr2ogr", "-f", "PostgreSQL", target, str(path), "-append", "-nln", "ogr", "-gt", "65536"]
    return run(command, {**environment(postgres), "PG_USE_COPY": "YES"})


def floor(postgres: PostgresResource, ready: Path) -> Run:
    """The same rows as a binary COPY that lies ready in a file."""
    server.drop(postgres, "floor")
    server.settle(postgres)
    return call("load:floor_inside", environment(postgres), path=str(ready))


def floor_inside(path: str) -> dict[str, Any]:
    with PostgresResource.from_process("BENCH").connect(autocommit=True) as connection:
        begun = time.perf_counter()
        with connection.transaction():
            connection.execute(f"create unlogged table floor ({COLUMNS})".encode())
            with (
                connection.cursor() as cursor,
                cursor.copy("copy floor from stdin (format binary)") as copy,
                open(path, "rb", buffering=0) as source,
            ):
                while piece := source.read(READ_BYTES):
                    copy.write(piece)
        return {"seconds": time.perf_counter() - begun}


@functools.cache
def _sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def dump(postgres: PostgresResource, target: Path) -> Path:
    """What ours loaded, as the file of a binary COPY."""
    from terrane_spatial.runs import run_schema

    with (
        run_schema.connect(postgres, RUN_ID) as connection,
        connection.cursor() as cursor,
        cursor.copy(f"copy {TABLE} to stdout (format binary)".encode()) as copy,
        target.open("wb") as sink,
    ):
        for piece in copy:
            sink.write(piece)
    return target


def changed_doubles(postgres: PostgresResource) -> tuple[int, int]:
    """How many doubles of the rows loaded last differ, to the bit, between ours and the floor, and ours and ogr2ogr."""
    from terrane_spatial.runs import run_schema

    counts = []
    with run_schema.connect(postgres, RUN_ID) as connection:
        for other in ("floor", "ogr"):
            row = connection.execute(
                f"select count(*) from {TABLE} a join public.{other} b using (name)"  # noqa: S608
                " where float8send(a.value) is distinct from float8send(b.value)".encode()
            ).fetchone()
            counts.append(row[0] if row else 0)
    return counts[0], counts[1]


def clear(postgres: PostgresResource) -> None:
    """Drops what ours loaded."""
    from terrane_spatial.runs import run_schema

    with run_schema.connect(postgres, RUN_ID) as connection:
        run_schema.drop(connection, run_schema.schema_of(RUN_ID))


def _make_schema(postgres: PostgresResource) -> None:
    from terrane_spatial.runs import run_schema

    with run_schema.connect(postgres, RUN_ID) as connection:
        run_schema.create(connection, RUN_ID, "bench")
    server.settle(postgres)
