"""What a person is told when a run cannot go on: the batch is wrong, or something a person can mend is."""

from __future__ import annotations

from collections.abc import Sequence


class BatchRejectedError(Exception):
    """The content of a batch is not what it must be. No retry can mend that: its producer sends a new batch.

    Attributes:
        reasons: one sentence each, naming the field or file and what is expected.
    """

    def __init__(self, reasons: Sequence[str] | str):
        self.reasons = [reasons] if isinstance(reasons, str) else list(reasons)
        super().__init__("; ".join(self.reasons))


class StepError(Exception):
    """A step cannot go on, and its message says why and what to do; the batch itself may be good."""
