"""What a run of online/<feature view> tells of itself: rows, window, speed, memory, and a picture of every feature."""

from datetime import UTC, datetime

import dagster as dg

from terrane_features.checks.inspection import Inspection
from terrane_features.checks.sparkline import as_markdown, bars
from terrane_features.checks.statistics import FeatureStatistics, Statistics
from terrane_features.materialize.run import Materialized

SHOWN_LEVELS = 3


def metadata_of(done: Materialized, found: Inspection, memory_bytes: int) -> dict[str, dg.MetadataValue]:
    """The metadata of a materialisation."""
    window, engine = done.window, done.engine
    metadata: dict[str, dg.MetadataValue] = {
        "dagster/row_count": dg.MetadataValue.int(window.rows),
        "entities": dg.MetadataValue.int(done.entities),
        "keys_in_redis": dg.MetadataValue.int(done.keys),
        "keys_removed": dg.MetadataValue.int(done.removed),
        "rows_in_the_future": dg.MetadataValue.int(window.future_rows),
        "seconds": dg.MetadataValue.float(round(done.seconds, 3)),
        "rows_per_second": dg.MetadataValue.float(round(window.rows / done.seconds, 1)),
        "rows_per_second_written": dg.MetadataValue.float(round(window.rows / max(done.write_seconds, 1e-6), 1)),
        "window_end": dg.MetadataValue.timestamp(window.end),
        "redis_memory_bytes": dg.MetadataValue.int(memory_bytes),
        "engine": dg.MetadataValue.text("columns" if engine or not window.rows else "Feast's local engine"),
    }
    if engine:
        metadata["rows_skipped"] = dg.MetadataValue.int(engine.skipped)
        metadata["bytes_sent"] = dg.MetadataValue.int(engine.bytes)
    if done.removed_fields:
        metadata["fields_removed"] = dg.MetadataValue.text(", ".join(done.removed_fields))
    if window.start and window.newest:
        metadata["window_start"] = dg.MetadataValue.timestamp(window.start)
        metadata["newest_event"] = dg.MetadataValue.timestamp(window.newest)
    if found.statistics and found.statistics.rows:
        metadata["distributions"] = dg.MetadataValue.md(distributions(found.statistics))
    return metadata


def distributions(statistics: Statistics) -> str:
    """A table in Markdown: each feature's nulls, its values in words, and its distribution as a picture."""
    lines = ["| feature | nulls | values | distribution |", "|---|---|---|---|"]
    lines += [_line(name, feature) for name, feature in statistics.features.items()]
    return "\n".join(lines)


def _line(name: str, feature: FeatureStatistics) -> str:
    picture = "" if not sum(feature.counts) else as_markdown(bars(_shown(feature), feature.bins.kind != "text"), name)
    return f"| {_escaped(name)} | {feature.null_rate:.1%} | {_values(feature)} | {picture} |"


def _shown(feature: FeatureStatistics) -> tuple[int, ...]:
    """Other texts come last, after the ones that are named."""
    return (*feature.counts[1:], feature.counts[0]) if feature.bins.kind == "text" else feature.counts


def _values(feature: FeatureStatistics) -> str:
    strange = f"; {feature.strange} not finite" if feature.strange else ""
    if feature.bins.kind == "text":
        some = max(sum(feature.counts), 1)
        pairs = list(zip(feature.bins.levels, feature.counts[1:], strict=True))[:SHOWN_LEVELS]
        listed = ", ".join(f"{_escaped(level) or 'empty'} {count / some:.0%}" for level, count in pairs)
        return listed or ("texts of which none is frequent" if sum(feature.counts) else "none")
    if feature.least is None or feature.mean is None or feature.most is None:
        return f"none{strange}"
    words = [_number(value, feature.bins.kind) for value in (feature.least, feature.mean, feature.most)]
    return f"{words[0]} to {words[2]}, mean {words[1]}{strange}{' (length)' if feature.bins.kind == 'length' else ''}"


def _number(value: float, kind: str) -> str:
    if kind == "time":
        try:
            return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M")
        except (OverflowError, ValueError, OSError):
            return f"{value:.6g} s"
    return f"{value:.6g}"


def _escaped(text: str) -> str:
    """A text inside a cell of a table."""
    return "".join("\\" + c if c in "\\`*_{}[]<>()#|!~" else " " if c.isspace() else c for c in text)
