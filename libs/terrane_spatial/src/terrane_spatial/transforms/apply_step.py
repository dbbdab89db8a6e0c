"""Running a step in the run's schema: its table is looked at, its query made a table, its tally told.

psycopg is imported where it is used: definitions import this module, and start 0.1 s sooner without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from terrane_spatial.errors import StageError
from terrane_spatial.transforms.step import FLAGS, GEOMETRY, Relation, Step

if TYPE_CHECKING:
    import psycopg

MADE = "_made"
COLUMNS = """
select attname, format_type(atttypid, null), case when attname = 'geometry' then postgis_typmod_srid(atttypmod) end
from pg_attribute where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum
"""
TELL = """
insert into _tally (table_name, outcome, reason, rows)
select {target}, _outcome, _reason, sum(_rows) from {made}
where _outcome is not null group by 2, 3 having sum(_rows) > 0
returning outcome, reason, rows
"""


def apply(connection: psycopg.Connection, step: Step, label: str) -> str:
    """Runs the step in one transaction; returns what became of the rows, in words.

    Args:
        label: what to call the step in messages.

    Raises:
        StageError: a table or a column is not there, or PostGIS refuses; it says what to do.
    """
    import psycopg

    try:
        with connection.transaction():
            table = describe(connection, step.table, label)
            other = describe(connection, step.others()[0], label) if step.others() else None
            _check(connection, step, table, other, label)
            return _apply(connection, step, table, other)
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise StageError(
            f"{label}: {error.diag.message_primary or error}. "
            "Mend the step's parameters, or put a step before it that mends its table (repair, require), "
            "then re-execute the run"
        ) from error


def describe(connection: psycopg.Connection, name: str, label: str) -> Relation:
    """The table's columns and reference system. Raises StageError when it has no geometry, or several systems."""
    from psycopg import sql

    found = connection.execute(COLUMNS, [sql.Identifier(name).as_string(connection)]).fetchall()
    if not found:
        raise StageError(f"{label}: there is no table {name}; see which tables the steps before it make")
    columns = {column: kind for column, kind, _ in found if column != GEOMETRY}
    srids = [srid for column, _, srid in found if column == GEOMETRY]
    if not srids:
        raise StageError(f"{label}: table {name} has no column {GEOMETRY}; its columns are {', '.join(columns)}")
    return Relation(name, columns, srids[0] or _srid_of_rows(connection, name, label))


def _srid_of_rows(connection: psycopg.Connection, name: str, label: str) -> int:
    """The one reference system of a table whose column's type names none, as in a table made by SQL."""
    from psycopg import sql

    query = sql.SQL("select distinct st_srid(geometry) from {} where geometry is not null order by 1").format(
        sql.Identifier(name)
    )
    srids = [srid for (srid,) in connection.execute(query).fetchall()]
    if len(srids) > 1 or srids == [0]:
        found = ", ".join(str(srid) for srid in srids)
        raise StageError(
            f"{label}: the geometries of table {name} are in the reference systems {found}; "
            "give them one in the SQL that makes it, with ST_SetSRID or ST_Transform"
        )
    return srids[0] if srids else 4326


def _check(connection: psycopg.Connection, step: Step, table: Relation, other: Relation | None, label: str) -> None:
    _check_columns(step.columns_read(), table, label)
    if other:
        _check_columns(step.columns_read_of_other(), other, label)
        if step.same_system() and other.srid != table.srid:
            raise StageError(
                f"{label}: {table.name} is in EPSG:{table.srid} and {other.name} in EPSG:{other.srid}; "
                "put a step reproject before it"
            )
    taken = [name for name in table.columns if name in FLAGS]
    if taken:
        raise StageError(f"{label}: table {table.name} has a column {taken[0]}, which is the steps' own; rename it")
    if step.into and connection.execute("select to_regclass(%s)", [step.into]).fetchone() != (None,):
        raise StageError(f"{label}: there is a table {step.into} already; name another in into")


def _check_columns(read: Mapping[str, Sequence[str]], relation: Relation, label: str) -> None:
    for parameter, names in read.items():
        for name in names:
            if name not in relation.columns:
                raise StageError(
                    f"{label}, {parameter}: table {relation.name} has no column {name}; "
                    f"it has {', '.join(relation.columns)}"
                )


def _apply(connection: psycopg.Connection, step: Step, table: Relation, other: Relation | None) -> str:
    from psycopg import sql

    source, target, made = sql.Identifier(step.table), sql.Identifier(step.target), sql.Identifier(MADE)
    if step.into:
        connection.execute(
            sql.SQL("insert into _derived (table_name, source, rows) select {}, {}, count(*) from {}").format(
                sql.Literal(step.target), sql.Literal(step.table), source
            )
        )
    if indexed := step.indexed():
        connection.execute(sql.SQL("create index on {} using gist (geometry)").format(sql.Identifier(indexed)))
        connection.execute(sql.SQL("analyze {}").format(sql.Identifier(indexed)))
    _make(connection, step, table, other)
    told = connection.execute(sql.SQL(TELL).format(target=sql.Literal(step.target), made=made)).fetchall()
    if any(outcome in ("dropped", "duplicate") for outcome, _, _ in told):
        connection.execute(sql.SQL("delete from {} where _outcome in ('dropped', 'duplicate')").format(made))
    flags = sql.SQL(", ").join(sql.SQL("drop column {}").format(sql.Identifier(name)) for name in FLAGS)
    connection.execute(sql.SQL("alter table {} {}").format(made, flags))
    if not step.into:
        connection.execute(sql.SQL("drop table {}").format(source))
    connection.execute(sql.SQL("alter table {} rename to {}").format(made, target))
    return _words(told)


def _make(connection: psycopg.Connection, step: Step, table: Relation, other: Relation | None) -> None:
    """Makes the table of the step's query; where PostGIS fails over a row, of its careful one."""
    import psycopg
    from psycopg import sql

    create = sql.SQL("create unlogged table {} as {}")
    careful = step.careful_query(table, other)
    for function in step.functions():
        connection.execute(function.encode())
    try:
        with connection.transaction():
            connection.execute(create.format(sql.Identifier(MADE), step.query(table, other)))
    except psycopg.InternalError:
        if careful is None:
            raise
        connection.execute(create.format(sql.Identifier(MADE), careful))


def _words(told: Sequence[Any]) -> str:
    return ", ".join(f"{rows} {outcome} ({reason})" for outcome, reason, rows in told) or "every row kept"
