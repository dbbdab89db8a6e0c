"""The second step's work: the dataset's steps in order, the tables they leave to publish, and what became of rows.

psycopg is imported where it is used: definitions import this module, and start 0.1 s sooner without it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from terrane.errors import is_temporary
from terrane_spatial.errors import StageError
from terrane_spatial.publishing import postgis_export
from terrane_spatial.runs.work import Dataset
from terrane_spatial.transforms import apply_step
from terrane_spatial.transforms.parsing import Script
from terrane_spatial.transforms.requirements import require_of_input, require_of_output
from terrane_spatial.transforms.row_balance import Balance, balance

if TYPE_CHECKING:
    import psycopg

FLAT = ("Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection")
NOT_FLAT = "select distinct st_geometrytype(geometry) from {} where st_geometrytype(geometry) <> all (%s)"


def transform(connection: psycopg.Connection, dataset: Dataset, say: Callable[[str], None]) -> None:
    """Runs the steps, and makes sure of a table `out_<output>` for each output, in a form that can be published.

    Raises:
        BatchRejectedError: an input is not what the dataset requires.
        StageError: a step fails, or an output is not what it must be.
    """
    for table in dataset.inputs:
        if table in dataset.requirements:
            require_of_input(connection, table, dataset.requirements[table])
    for number, step in enumerate(dataset.steps, start=1):
        start = time.monotonic()
        if isinstance(step, Script):
            _run_script(connection, step)
            told = step.path.name
        else:
            name = f"step {number} ({step.kind})"
            told = f"{name} of {step.table}: {apply_step.apply(connection, step, f'dataset {dataset.name}, {name}')}"
        say(f"{told}, in {time.monotonic() - start:.1f} s")
    for output in dataset.outputs:
        _settle(connection, dataset, output)
        if output in dataset.requirements and output not in dataset.inputs:
            out = postgis_export.OUT_PREFIX + output
            require_of_output(connection, output, out, dataset.requirements[output])


def balances(connection: psycopg.Connection, dataset: Dataset) -> list[Balance]:
    """What became of the rows of every output, and of every input that is not published."""
    published = [balance(connection, name, postgis_export.OUT_PREFIX + name) for name in dataset.outputs]
    return published + [balance(connection, name, None) for name in dataset.inputs if name not in dataset.outputs]


def _run_script(connection: psycopg.Connection, script: Script) -> None:
    import psycopg

    try:
        with connection.transaction():
            connection.execute(script.path.read_bytes())
    except psycopg.Error as error:
        if is_temporary(error):
            raise
        at = f" at character {error.diag.statement_position}" if error.diag.statement_position else ""
        raise StageError(
            f"{script.path.name} failed{at}: {error.diag.message_primary or error}. "
            "Mend the SQL, then re-execute the run"
        ) from error


def _settle(connection: psycopg.Connection, dataset: Dataset, output: str) -> None:
    """Names the output's table `out_<output>` when SQL did not, and checks that it can be published."""
    from psycopg import sql

    out = postgis_export.OUT_PREFIX + output
    tables = [name for name in (out, output) if _is_table(connection, name)]
    if not tables:
        raise StageError(
            f"dataset {dataset.name}: no step makes the output {output}, a table {out} or {output}; "
            "name it in the last step's into, or take it out of outputs"
        )
    if tables[0] != out:
        connection.execute(sql.SQL("alter table {} rename to {}").format(sql.Identifier(output), sql.Identifier(out)))
    relation = apply_step.describe(connection, out, f"dataset {dataset.name}, output {output}")
    if relation.srid != postgis_export.EPSG:
        raise StageError(
            f"dataset {dataset.name}: output {output} is in EPSG:{relation.srid}, and what is published is in "
            f"EPSG:{postgis_export.EPSG}; put a step reproject last"
        )
    query = sql.SQL(NOT_FLAT).format(sql.Identifier(out))  # type: ignore[arg-type]
    odd = [kind for (kind,) in connection.execute(query, [[f"ST_{name}" for name in FLAT]]).fetchall()]
    if odd:
        raise StageError(
            f"dataset {dataset.name}: output {output} holds {', '.join(odd)}, which GeoParquet has no type for; "
            "put a step repair before the others, which makes simple types of them"
        )


def _is_table(connection: psycopg.Connection, name: str) -> bool:
    return connection.execute("select to_regclass(%s)", [f'"{name}"']).fetchone() != (None,)
