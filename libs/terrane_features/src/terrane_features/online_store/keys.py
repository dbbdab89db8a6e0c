"""The keys that runs wrote of each view, kept in the warehouse: what a table no longer has is found without a look at
every key of Redis. Cost of a run: the view's own keys, read and written once, some bytes each when packed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from terrane import names

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa


@dataclass(frozen=True)
class KeyRecord:
    """The keys of one project's view. A run adds its own before it writes, and drops those of earlier ones at its end:
    after a run that died, both are known."""

    connection: psycopg.Connection
    project: str
    view: str

    def add(self, run: str, part: int, keys: pa.Array) -> None:
        """Adds some keys of a run."""
        self._execute(
            "insert into {feast}.online_keys (project, view, run, part, keys) values (%s, %s, %s, %s, %s)",
            [self.project, self.view, run, part, _packed(keys)],
        )

    def earlier(self, run: str) -> Iterator[pa.Array]:
        """All keys that other runs than this one wrote, some at a time; a key may come twice."""
        sql = "select run, part from {feast}.online_keys where project = %s and view = %s and run <> %s order by 1, 2"
        for earlier, part in self._execute(sql, [self.project, self.view, run]).fetchall():
            row = self._execute(
                "select keys from {feast}.online_keys where project = %s and view = %s and run = %s and part = %s",
                [self.project, self.view, earlier, part],
            ).fetchone()
            if row:
                yield _unpacked(row[0])

    def forget_earlier(self, run: str) -> None:
        """Drops what other runs than this one wrote: their rows are removed, or are this one's too."""
        sql = "delete from {feast}.online_keys where project = %s and view = %s and run <> %s"
        self._execute(sql, [self.project, self.view, run])

    def forget(self, run: str) -> None:
        """Drops a run's keys, none of which it wrote."""
        sql = "delete from {feast}.online_keys where project = %s and view = %s and run = %s"
        self._execute(sql, [self.project, self.view, run])

    def is_complete(self) -> bool:
        """Whether every row of the view that is online has its key here: not before the first run that keeps them, nor
        after somebody materialised by hand."""
        sql = "select bool_and(keys_known) from {feast}.online_views where project = %s and view = %s"
        row = self._execute(sql, [self.project, self.view]).fetchone()
        return bool(row and row[0])

    def complete(self) -> None:
        """Says that they all are."""
        sql = "update {feast}.online_views set keys_known = true where project = %s and view = %s"
        self._execute(sql, [self.project, self.view])

    def _execute(self, statement: str, values: list[Any]) -> psycopg.Cursor[Any]:
        return self.connection.execute(names.current().sql(statement), values)


def written_by_others(connection: psycopg.Connection, project: str, view: str) -> None:
    """Notes that somebody writes rows of the view whose keys are not kept. Nothing where there is no
    record yet, or none that the role may change."""
    import psycopg

    try:
        with connection.transaction():
            sql = "update {feast}.online_views set keys_known = false where project = %s and view = %s"
            connection.execute(names.current().sql(sql), [project, view])
    except psycopg.ProgrammingError:
        return


def _packed(keys: pa.Array) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    table = pa.record_batch([keys], names=["key"])
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_batch(table)
    return sink.getvalue().to_pybytes()


def _unpacked(content: bytes) -> pa.Array:
    import pyarrow as pa

    with pa.ipc.open_stream(content) as reader:
        return reader.read_next_batch().column(0)
