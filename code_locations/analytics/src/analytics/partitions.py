"""The days that are ingested: complete ones, in UTC, from INGESTION_START_DATE on."""

from __future__ import annotations

import os
from datetime import date

import dagster as dg

VARIABLE = "INGESTION_START_DATE"
DEFAULT_START = "2026-01-01"


def daily() -> dg.DailyPartitionsDefinition:
    """A day is a partition once it is over. Raises ValueError when the variable holds no day."""
    first = os.environ.get(VARIABLE) or DEFAULT_START
    try:
        date.fromisoformat(first)
    except ValueError:
        raise ValueError(f"{VARIABLE} is {first!r}, which is no day; set it to one such as 2026-01-31") from None
    return dg.DailyPartitionsDefinition(start_date=first, timezone="UTC")
