"""The statistics of a view's last run, kept in the warehouse: what the next one is compared with."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from terrane import names
from terrane_features.checks.bins import Bins
from terrane_features.checks.statistics import FeatureStatistics, Statistics
from terrane_features.registry.state import ensure_tables

if TYPE_CHECKING:
    import psycopg

KEEP_SQL = """
    insert into {feast}.feature_statistics (project, view, run_id, statistics) values (%s, %s, %s, %s)
    on conflict (project, view) do update
    set statistics = excluded.statistics, run_id = excluded.run_id, measured_at = now()
"""


def last(connection: psycopg.Connection, project: str, view: str) -> Statistics | None:
    """What was kept; None before the first run."""
    if connection.execute(names.current().sql("select to_regclass('{feast}.feature_statistics')")).fetchone() == (
        None,
    ):
        return None
    sql = "select statistics from {feast}.feature_statistics where project = %s and view = %s"
    row = connection.execute(names.current().sql(sql), [project, view]).fetchone()
    return _read(row[0]) if row else None


def keep(connection: psycopg.Connection, project: str, view: str, statistics: Statistics, run_id: str) -> None:
    """Puts the statistics in the place of the last run's."""
    ensure_tables(connection)
    content = {"rows": statistics.rows, "features": {n: asdict(f) for n, f in statistics.features.items()}}
    connection.execute(names.current().sql(KEEP_SQL), [project, view, run_id, json.dumps(content)])


def _read(content: dict[str, Any]) -> Statistics:
    return Statistics(content["rows"], {name: _feature(f) for name, f in content["features"].items()})


def _feature(content: dict[str, Any]) -> FeatureStatistics:
    bins = content["bins"]
    kept = Bins(bins["kind"], tuple(bins["edges"]), tuple(bins["levels"]))
    return FeatureStatistics(**{**content, "bins": kept, "counts": tuple(content["counts"])})
