"""The rows of a layer that are held back while it is loaded, to be compared with a second reading of them.

All, of a layer of up to WHOLE_ROWS rows and WHOLE_BYTES; of a larger one a sample, drawn evenly over all of it, with
the first and the last row, and those with the least, the greatest and the longest values.

numpy and pyarrow are imported where they are used: definitions import this module, and start 0.15 s sooner without
them.
"""

# pyright: reportAttributeAccessIssue=false
# pyarrow makes its compute functions at import, where a type checker does not see them.

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from terrane_spatial.arrow_buffers import array_of, bounds_of, valid, values_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

WHOLE_ROWS, WHOLE_BYTES = 200_000, 100 << 20
# More than 20,000, so that fewer come out of hardly any draw; and what is held of a layer that does not say its size.
SAMPLE_ROWS, MAX_SAMPLE_ROWS, SAMPLE_BYTES = 20_100, 40_200, 25 << 20
# Knuth's multiplier spreads consecutive numbers evenly: it draws a place in each stretch.
SPREAD, SPAN = 2_654_435_761, 1 << 32


class HeldRows:
    """Rows by their places in the file."""

    def __init__(self, expected: int, key: str | None = None):
        self._key = key
        self._share = 1.0 if expected <= WHOLE_ROWS else SAMPLE_ROWS / expected
        self.whole = self._share == 1.0
        self._held: list[tuple[Any, pa.RecordBatch]] = []
        self._rows = self._bytes = 0
        self._last: tuple[Any, pa.RecordBatch] | None = None
        self._extremes: dict[tuple[int, str], Any] = {}

    def add(self, places: np.ndarray, batch: pa.RecordBatch) -> None:
        if not len(places):
            return
        if self.whole:
            self._keep(places, batch)
        else:
            rows = {*self._drawn(places).tolist(), *self._extreme(batch), *([] if self._held else [0])}
            self._keep_some(places, batch, sorted(rows))
            self._last = (places[-1:], batch.slice(batch.num_rows - 1))
        limit = WHOLE_ROWS if self.whole else MAX_SAMPLE_ROWS
        if self._rows > limit or self._bytes > (WHOLE_BYTES if self.whole else 2 * SAMPLE_BYTES):
            self._thin()

    def table(self) -> tuple[np.ndarray, pa.Table]:
        """The places, and the rows, in the order of the file; of no rows, none."""
        import numpy as np
        import pyarrow as pa

        held = list(self._held)
        if self._last is not None and (not held or held[-1][0][-1] != self._last[0][0]):
            held.append(self._last)
        if not held:
            return np.empty(0, np.int64), pa.table({})
        return np.concatenate([places for places, _ in held]), pa.Table.from_batches([batch for _, batch in held])

    def _keep(self, places: np.ndarray, batch: pa.RecordBatch) -> None:
        if len(places):
            self._held.append((places, batch))
            self._rows += len(places)
            self._bytes += batch.nbytes

    def _keep_some(self, places: np.ndarray, batch: pa.RecordBatch, rows: Sequence[int]) -> None:
        import numpy as np
        import pyarrow as pa

        # Rows that are taken are copied; a slice would keep all of the batch.
        if rows:
            self._keep(places[rows], batch.take(array_of(np.array(rows, np.int64), pa.int64())))

    def _drawn(self, places: np.ndarray) -> np.ndarray:
        """The rows of the batch that are in the sample: one, at a place of its own, of each stretch of the file."""
        import numpy as np

        stretch = int(1 / self._share)
        first, last = int(places[0]), int(places[-1])
        numbers = np.arange(first // stretch, last // stretch + 1)
        wanted = numbers * stretch + (numbers * SPREAD % SPAN) * stretch // SPAN
        wanted = wanted[(wanted >= first) & (wanted <= last)]
        # Consecutive, but where rows were rejected.
        if last - first + 1 == len(places):
            return wanted - first
        at = np.searchsorted(places, wanted)
        return at[places[at] == wanted]

    def _thin(self) -> None:
        """Goes over to a sample, or to a smaller one."""
        most = SAMPLE_ROWS if self.whole else MAX_SAMPLE_ROWS // 2
        self._share *= min(0.5, most / self._rows, SAMPLE_BYTES / self._bytes)
        self.whole = False
        held, self._held, self._rows, self._bytes = self._held, [], 0, 0
        for number, (places, batch) in enumerate(held):
            self._keep_some(places, batch, sorted({*self._drawn(places).tolist(), *([] if number else [0])}))

    def _extreme(self, batch: pa.RecordBatch) -> list[int]:
        """The rows with values beyond all that were seen: the least and the greatest number, the longest text."""
        chosen = []
        for at, column in enumerate(batch.columns):
            # A key grows with every row, which makes each batch's last one extreme.
            if batch.schema.names[at] == self._key:
                continue
            for name, value, find in _edges(column):
                seen = self._extremes.get((at, name))
                if seen is None or (value < seen if name == "least" else value > seen):
                    self._extremes[at, name] = value
                    chosen.append(find())
        return [row for row in chosen if row >= 0]


def _of_numbers(column: pa.Array) -> dict[str, Any]:
    """The least and the greatest: by numpy, or where there are nulls or NaN by Arrow, which passes them over."""
    import pyarrow.compute as pc

    if not column.null_count:
        values = values_of(column)
        edges = {"min": values.min().item(), "max": values.max().item()}
        if edges["min"] == edges["min"]:
            return edges
    return pc.min_max(column).as_py()


def _edges(column: pa.Array) -> list[tuple[str, Any, Callable[[], int]]]:
    """The least and the greatest of numbers, the longest of texts and bytes, and what finds where they are."""
    import numpy as np
    import pyarrow.types as t

    if not len(column) or column.null_count == len(column):
        return []
    if t.is_integer(column.type) or t.is_floating(column.type):
        edges = _of_numbers(column)
        return [
            # Arrow's `index` imports pandas where that is installed: 0.15 s, and 40 MB for good.
            (
                name,
                edges[which],
                lambda value=edges[which]: int(((values_of(column) == value) & valid(column)).argmax()),
            )
            for name, which in (("least", "min"), ("greatest", "max"))
            if edges[which] is not None and edges[which] == edges[which]
        ]
    if t.is_string(column.type) or t.is_binary(column.type):
        lengths = np.diff(bounds_of(column))
        return [("longest", int(lengths.max()), lambda: int(lengths.argmax()))]
    return []
