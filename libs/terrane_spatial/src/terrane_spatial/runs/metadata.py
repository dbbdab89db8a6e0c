"""What a run's events tell of a published batch: little, whatever is in it, for the commit has all of it.

Everything comes of the summary, before the commit, or is a field of the commit: nothing here fails after it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import dagster as dg

from terrane.publishing import Commit, commit_key
from terrane_spatial.publishing.stac import PREVIEW_FILE

# Of a value in JSON; a run's events stay below 20 kB.
MAX_CHARS = 1500
MAX_TABLES = 8


def of_summary(summary: Mapping[str, Any], row_count: str) -> dict[str, Any]:
    """What the commit's summary says. A commit of an earlier release may say less of it.

    Args:
        row_count: the output whose rows are the asset's; empty for a dataset of rasters.
    """
    rows = summary.get("rows", {}).get(row_count)
    counts = [
        (f"rows {table} {what}", number)
        for table, each in list(summary.get("tables", {}).items())[:MAX_TABLES]
        for what, number in each.items()
        if number or what in ("in", "out")
    ]
    seconds, rasters = summary.get("seconds", {}), summary.get("rasters", {})
    spent = seconds.items() if isinstance(seconds, Mapping) else [("", seconds)]
    return {
        **({} if rows is None else {"dagster/row_count": rows}),
        **dict(counts),
        "bounds": _json(summary.get("bounds")),
        **{f"seconds {name}".strip(): round(value, 3) for name, value in spent if value is not None},
        **{name: _json(summary[name]) for name in ("loads", "tally") if name in summary},
        **({"rasters": _json({name: _brief(facts) for name, facts in rasters.items()})} if rasters else {}),
    }


def of_commit(commit: Commit, lake: str) -> dict[str, Any]:
    """Which batch it is, who published it and where it lies in the bucket of that name."""
    pictures = [o.key for o in commit.objects if o.name == PREVIEW_FILE]
    return {
        "batch_id": commit.batch_id,
        "commit": commit_key(commit.dataset, commit.batch_id),
        "published_by": dg.MetadataValue.dagster_run(commit.run_id),
        "bytes": sum(o.size for o in commit.objects),
        "files": len(commit.objects),
        "objects": _json({o.name: o.size for o in commit.objects}),
        **({"preview": dg.MetadataValue.path(f"{lake}/{pictures[0]}")} if pictures else {}),
    }


def _brief(raster: Mapping[str, Any]) -> dict[str, Any]:
    return {name: raster.get(name) for name in ("epsg", "width", "height")} | {"bands": len(raster.get("bands", ()))}


def _json(value: Any) -> dg.JsonMetadataValue:
    """The value, or how long it is where events are not the place for it."""
    length = len(json.dumps(value, default=str))
    return dg.JsonMetadataValue(value if length <= MAX_CHARS else f"{length} characters of JSON, in the commit")
