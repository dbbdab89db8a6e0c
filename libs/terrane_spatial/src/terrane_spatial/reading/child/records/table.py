"""What every reader by hand gives: the rows of a layer as plain values, in the order of the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

# In place of a geometry: one that is there and cannot be read, and one that this reader does not read.
UNREADABLE = b"?"
NOT_READ = b"-"
# How texts of a column are taken: as they are; as what all of them are written as; or as what the file declares.
PLAIN, TYPED, NUMBERS, TIMES, DATES, FLAGS = "plain", "typed", "numbers", "times", "dates", "flags"


class UnsupportedError(Exception):
    """A file, or what is wanted of it, that this reader does not know; another has to read it alone."""


class Record(NamedTuple):
    """A row.

    Attributes:
        values: by the names of the table, in their order; or of a table whose names follow from its rows, by name.
        geometry: WKB in two dimensions, None for none, UNREADABLE or NOT_READ.
    """

    values: Sequence[Any] | dict[str, Any]
    geometry: bytes | None


class Access(NamedTuple):
    """How rows are reached other than one after the other; None of what a format cannot do.

    Attributes:
        at: reads the rows with those keys, in their order.
        columns_at: the same, as a sequence of values for each column, and one of geometries.
        batches: reads all rows, or those at places in the order of the file, as Arrow's batches beside their places,
            of a format that is Arrow's own. The flag is whether the first reading wrote every geometry anew.
        geometry: names the column of WKB in these batches.
    """

    at: Callable[[Sequence[int]], Iterator[Record]] | None = None
    columns_at: Callable[[Sequence[int]], tuple[list[Sequence[Any]], Sequence[bytes | None]]] | None = None
    batches: Callable[[Sequence[int] | None, bool], Iterator[tuple[Sequence[int], Any]]] | None = None
    geometry: str | None = None


ONE_AFTER_THE_OTHER = Access()


class Table:
    """A layer.

    Attributes:
        names: of the columns; empty where they follow from the rows.
        rows: reads all rows, each time anew.
        texts: how the texts of a column are taken; of those not named, `otherwise`.
        count: how many rows there are; None where only reading all of them tells.
        by_place: whether columns are found by their place, because names may be cut or made anew.
        whole: whether geometry is read too, so that the file can be read by this reader alone.
        left_out: columns that are not read, and why.
        facts: what was met, as the run's report tells it; may be added to while rows are read.
        flattened: how many geometries had heights or measures, which the rows read last are without.

    No dataclass, whose module takes longer to import than the rows of a sample to read.
    """

    def __init__(
        self,
        names: list[str],
        rows: Callable[[], Iterator[Record]],
        access: Access = ONE_AFTER_THE_OTHER,
        texts: dict[str, str] | None = None,
        otherwise: str = PLAIN,
    ):
        self.names, self.rows, self.access, self.otherwise = names, rows, access, otherwise
        # What is given may still be empty, and be added to while rows are read.
        self.texts = {} if texts is None else texts
        self.count: int | None = None
        self.by_place, self.whole = False, True
        self.left_out: dict[str, str] = {}
        self.facts: dict[str, Any] = {}
        self.flattened = 0

    def taken_as(self, name: str) -> str:
        """How the texts of the column are taken."""
        return self.texts.get(name, self.otherwise)
