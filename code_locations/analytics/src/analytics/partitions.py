"""The days that are ingested: complete ones, in UTC, from INGESTION_START_DATE on."""

from __future__ import annotations

import os

import dagster as dg

DEFAULT_START = "2026-01-01"


def daily() -> dg.DailyPartitionsDefinition:
    """A day is a partition once it is over."""
    return dg.DailyPartitionsDefinition(
        start_date=os.environ.get("INGESTION_START_DATE", DEFAULT_START), timezone="UTC"
    )
