"""Making a file's columns fit for Postgres: text cleaned, lists as JSON, geometry flat, and all of it counted."""

# pyright: reportAttributeAccessIssue=false
# pyarrow makes its compute functions at import, where a type checker does not see them.

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING

from terrane_spatial.arrow_buffers import is_text
from terrane_spatial.loading.copy_format import column_type

if TYPE_CHECKING:
    import pyarrow as pa

NUL = re.compile(b"\0")


class NotUtf8Error(Exception):
    """A text column holds bytes that are not UTF-8."""

    def __init__(self, column: str):
        self.column = column
        super().__init__(column)


def plain(column: pa.Array, name: str, counts: Counter[str]) -> pa.Array:
    """The column in a type that COPY takes, with what was changed counted.

    Raises NotUtf8Error when text is not UTF-8.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as t

    if t.is_dictionary(column.type):
        column = column.dictionary_decode()
    if t.is_nested(column.type):
        _count(counts, "nested values written as JSON", len(column) - column.null_count)
        texts = [None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in column.to_pylist()]
        column = pa.array(texts, pa.string())
    elif column_type(column.type) == "text" and not is_text(column.type):
        column = pc.cast(column, pa.string())
    if is_text(column.type):
        return _clean_text(column, name, counts)
    return column


def plain_type(arrow: pa.DataType) -> str:
    """The PostgreSQL type of a column of that type once it is plain."""
    import pyarrow.types as t

    return column_type(arrow.value_type if t.is_dictionary(arrow) else arrow)


def _count(counts: Counter[str], what: str, number: int) -> None:
    if number:
        counts[what] += number


def _clean_text(column: pa.Array, name: str, counts: Counter[str]) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        raise NotUtf8Error(name) from None
    with_nul = pc.sum(pc.match_substring(column, "\0")).as_py() if _has_zero_byte(column) else 0
    if with_nul:
        _count(counts, "texts with NUL bytes taken out", with_nul)
        column = pc.replace_substring(column, "\0", "")
    return column


def _has_zero_byte(column: pa.Array) -> bool:
    data = column.buffers()[2]
    return data is not None and NUL.search(memoryview(data)) is not None
