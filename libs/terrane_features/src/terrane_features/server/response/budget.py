"""Memory of large answers, bounded for all of them together: who would exceed it waits until others are sent.

What an answer turns out to hold beyond what was asked for can't wait, since what it has would be held meanwhile: where
others leave no room for it, it is refused for now.
"""

from __future__ import annotations

import asyncio
from collections import deque

from terrane_features.server.request.errors import unavailable

# What large answers may hold at a time: two of the greatest that are allowed, as text.
ANSWER_BYTES = 24 << 20


class Budget:
    """Bytes that answers may hold together. Served in the order of asking; one alone may take all of it."""

    def __init__(self, total: int = ANSWER_BYTES) -> None:
        self._total, self._held = total, 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size: int) -> Share:
        """A share of so many bytes, once there is room for it."""
        size = min(size, self._total)
        if self._waiting or self._held + size > self._total:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((size, turn))
            try:
                await turn
            except asyncio.CancelledError:
                self._give_up(size, turn)
                raise
        else:
            self._held += size
        return Share(self, size)

    def grow(self, size: int, more: int) -> None:
        """Adds to a share of that size. Raises RequestError, 503, where others hold what it would take."""
        if self._held > size and self._held + more > self._total:
            raise unavailable("other large answers are being sent; retry in a moment")
        self._held += more

    def give_back(self, size: int) -> None:
        """Takes back what was held, and serves who waited for it."""
        self._held -= size
        while self._waiting and self._held + self._waiting[0][0] <= self._total:
            waiting, turn = self._waiting.popleft()
            if not turn.done():
                self._held += waiting
                turn.set_result(None)

    def _give_up(self, size: int, turn: asyncio.Future[None]) -> None:
        """Of one who waited and is gone: its turn may have come meanwhile."""
        self.give_back(size if turn.done() and not turn.cancelled() else 0)


class Share:
    """What one answer holds of the budget."""

    def __init__(self, budget: Budget, size: int) -> None:
        self._budget, self._size = budget, size

    def hold(self, size: int) -> None:
        """Counts the answer's real size where it is greater than was asked for. Raises as `Budget.grow`."""
        if size > self._size:
            self._budget.grow(self._size, size - self._size)
            self._size = size

    def release(self) -> None:
        """Gives all of it back; again does nothing."""
        self._budget.give_back(self._size)
        self._size = 0
