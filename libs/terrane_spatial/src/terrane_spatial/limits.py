"""How much a dataset's runs may take: time, rows and bytes, tries, and how many at once.

A dataset's YAML sets them under `limits`; what it leaves out comes from the variables of the environment, and what
those leave out from here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from typing import Any

VARIABLES = "TERRANE_SPATIAL_"


@dataclass(frozen=True)
class Limits:
    """The limits of a dataset. Each is a variable too: `retries` is TERRANE_SPATIAL_RETRIES.

    Attributes:
        retries: how often a stage is tried again within a run after a temporary error.
        retry_delay_s: before the first of these; each later one waits twice as long.
        queued_runs: of the dataset in Dagster's queue; the rest waits in the ledger, so that others get their turn.
        files_at_once: of a batch that are loaded at a time, where there are as many processors.
        statement_minutes: that a statement in Postgres may take, the COPY of a file among them.
        unpacked_mb: MiB that an archive may hold.
        unpacked_ratio: times an archive's own size that may be.
    """

    retries: int = 3
    retry_delay_s: float = 15.0
    queued_runs: int = 100
    # A file keeps a process of GDAL, a thread that encodes and a server of Postgres busy, and takes 110 MB beside ours.
    files_at_once: int = 4
    statement_minutes: int = 60
    unpacked_mb: int = 8192
    unpacked_ratio: int = 200

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            least = 0 if name in ("retries", "retry_delay_s") else 1
            if value < least:
                raise ValueError(f"limits: {name} is {value}, and has to be at least {least}")

    def changed(self, **changes: Any) -> Limits:
        """The limits with others in their place. Raises ValueError for one that there is not, or that cannot be."""
        known = [field.name for field in fields(self)]
        if unknown := sorted(changes.keys() - set(known)):
            raise ValueError(f"there is no limit {', '.join(unknown)}; there are {', '.join(known)}")
        whole = {field.name for field in fields(self) if field.type == "int"}
        broken = sorted(name for name, value in changes.items() if name in whole and value != int(value))
        if broken:
            raise ValueError(f"{', '.join(broken)}: has to be a whole number")
        return replace(self, **{name: int(value) if name in whole else value for name, value in changes.items()})


def from_environment() -> Limits:
    """The limits as the variables have them. Raises ValueError, with the variable's name, for one that is no number."""
    found: dict[str, Any] = {}
    for field in fields(Limits):
        name = VARIABLES + field.name.upper()
        text = os.environ.get(name)
        if text:
            try:
                found[field.name] = float(text) if field.type == "float" else int(text)
            except ValueError:
                raise ValueError(f"{name} is {text!r}, and has to be a number") from None
    return Limits(**found)
