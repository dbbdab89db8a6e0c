"""An answer that is put together while it is sent: it is held as its parts, which are a quarter of its text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from terrane_features.server.response.budget import Share
from terrane_features.server.response.vectors import ViewVectors

START = b'{"results":['


class LargeAnswer:
    """A JSON text in pieces, a vector each; whoever has it closes it when it is sent, or is not to be sent.

    Attributes:
        length: of the whole text.
    """

    def __init__(
        self, keys: list[bytes], columns: Sequence[tuple[ViewVectors, int]], ending: bytes, share: Share
    ) -> None:
        self._keys, self._columns, self._ending, self._share = keys, columns, ending, share
        commas = max(0, len(keys) + len(columns) - 1)
        vectors = sum(map(len, keys)) + sum(view.length(column) for view, column in columns)
        self.length = len(START) + vectors + commas + len(ending)

    def __iter__(self) -> Iterator[bytes]:
        before = START
        for vector in self._vectors():
            yield before + vector
            before = b","
        yield self._ending if self._keys or self._columns else START + self._ending

    def close(self) -> None:
        """Gives the answer's share of the budget back."""
        self._share.release()

    def _vectors(self) -> Iterator[bytes]:
        yield from self._keys
        for view, column in self._columns:
            yield view.vector(column)
