"""What a person is told when a run cannot go on: the batch is wrong, or something a person can mend is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

MAX_REASONS = 20
MAX_REASON_CHARS = 500
SHOWN_CHARS = 80


def printable(text: str) -> str:
    """The text as it can be stored and shown: what does not print is escaped, what is too long is cut."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if len(shown) <= MAX_REASON_CHARS else f"{shown[:MAX_REASON_CHARS]}..."


def shown(value: Any) -> str:
    """A value that was given, as JSON, for a message; of a long one the beginning."""
    found = json.dumps(value, ensure_ascii=True, default=str)
    return found if len(found) <= SHOWN_CHARS else f"{found[:SHOWN_CHARS]}..."


class BatchRejectedError(Exception):
    """The content of a batch is not what it must be. No retry can mend that: its producer sends a new batch.

    Attributes:
        reasons: one sentence each, naming the field or file and what is expected.
    """

    def __init__(self, reasons: Sequence[str] | str):
        told = [reasons] if isinstance(reasons, str) else list(reasons)
        more = [f"and {len(told) - MAX_REASONS} more"] if len(told) > MAX_REASONS else []
        self.reasons = [printable(reason) for reason in told[:MAX_REASONS]] + more
        super().__init__("; ".join(self.reasons))


class StageError(Exception):
    """A step cannot go on, and its message says why and what to do; the batch itself may be good."""


class QuarantinedError(Exception):
    """A file of the batch ends the process that reads it. A person may lift that; no retry does."""
