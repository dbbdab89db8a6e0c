"""Times of a layer, read as text and typed here: GDAL's own type of column forgets the zones where they differ.

A column whose values all tell their zone holds instants; one whose values tell none, local times; any other stays text.
Which it is the first batch says; a later one that differs asks for the layer to be read anew.

Arrow's functions are imported where they are used: they take 0.05 s, and few files have times.
"""

# pyright: reportAttributeAccessIssue=false
# pyarrow makes its compute functions at import, where a type checker does not see them.

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import pyarrow as pa

from terrane_spatial.arrow_buffers import is_text
from terrane_spatial.reading.layer import EVERY, LOCAL, TEXT, ZONED

MARK, MARKED = b"GDAL:OGR:type", b"DateTime"
WITH_ZONE = r"(?:Z|[+-][0-9]{2}:?[0-9]{2})$"


class TimesDifferError(Exception):
    """A column's times are not of the kind that the first of them are.

    Attributes:
        kind: what to take the column for when the layer is read again.
    """

    def __init__(self, column: str, kind: str):
        self.column, self.kind = column, kind
        super().__init__(column, kind)


def typed(schema: Any, batches: Iterator[Any], kinds: Mapping[str, str]) -> tuple[Any, Iterator[Any]]:
    """The schema and the batches with a type of time where a column of text holds times.

    Args:
        kinds: of columns whose first batch does not tell.

    Raises:
        TimesDifferError: also while batches are read.
    """
    marked = [
        at for at, field in enumerate(schema) if (field.metadata or {}).get(MARK) == MARKED and is_text(field.type)
    ]
    if not marked:
        return schema, batches
    first = next(batches, None)
    columns = {at: _Column(schema.field(at).name) for at in marked}
    for at, column in columns.items():
        kind = kinds.get(column.name) or kinds.get(EVERY)
        column.kind = kind or (ZONED if first is not None and column.any_zoned(first.column(at)) else LOCAL)
        schema = schema.set(at, pa.field(column.name, column.type()))
    batches = chain([] if first is None else [first], batches)
    return schema, (_converted(batch, schema, columns) for batch in batches)


class _Column:
    """One column of times: what it is taken for, and whether a time without a zone was met in it."""

    def __init__(self, name: str):
        self.name, self.kind, self.met_local = name, LOCAL, False

    def type(self) -> Any:
        return {ZONED: pa.timestamp("ms", "UTC"), LOCAL: pa.timestamp("ms"), TEXT: pa.string()}[self.kind]

    def any_zoned(self, values: Any) -> bool:
        # Arrow's compute functions take 40 ms to import, which a layer without times need not wait for.
        import pyarrow.compute as pc

        return bool(pc.any(pc.match_substring_regex(values, WITH_ZONE)).as_py())

    def converted(self, values: Any) -> Any:
        """Arrow takes times with a zone for instants alone, and times without for local ones alone."""
        try:
            made = values.cast(self.type())
        except pa.ArrowInvalid:
            may_be_instants = self.kind == LOCAL and not self.met_local and self.any_zoned(values)
            raise TimesDifferError(self.name, ZONED if may_be_instants else TEXT) from None
        self.met_local |= self.kind == LOCAL and values.null_count < len(values)
        return made


def _converted(batch: Any, schema: Any, columns: Mapping[int, _Column]) -> Any:
    arrays = [columns[at].converted(array) if at in columns else array for at, array in enumerate(batch.columns)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
