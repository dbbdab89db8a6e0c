"""The checks of a view's asset: their names, and what each says of a run.

Those that block stop the run's writing, or what is downstream; those that warn tell that something changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from terrane_features.checks.drift import Change, Limits, changes
from terrane_features.repository.model import FeatureView, Problem

if TYPE_CHECKING:
    from terrane_features.checks.inspection import Inspection
    from terrane_features.checks.rows import Faults
    from terrane_features.materialize.run import Materialized
    from terrane_features.materialize.snapshot import Window
    from terrane_features.materialize.verify import Reading

FILES = "every_file_can_be_read"
COLUMNS = "columns_fit_the_definition"
KEYS = "keys_and_times_are_there"
UNIQUE = "rows_are_told_apart"
COUNT = "every_row_has_its_key"
STORE = "random_entities_read_back_as_gold"
SERVER = "feature_server_answers_as_gold"
FRESH = "newest_event_is_recent"
NULLS = "null_rates_hold"
DISTRIBUTIONS = "distributions_hold"
BLOCKING = {
    COLUMNS: "The table has every column of the definition, of a type that fits. Nothing is written otherwise.",
    KEYS: "No row is without its join keys or its event's time. Nothing is written otherwise.",
    UNIQUE: "No entity has two rows of one time. Nothing is written otherwise.",
    COUNT: "As many keys in Redis as entities were read.",
    STORE: "A few random entities, read by Feast's own client, are as gold has them.",
    SERVER: "The same entities, asked for at the feature server as a product asks.",
}
WARNING = {
    FRESH: "The newest event is no older than the view allows.",
    NULLS: "Each feature's share of nulls is what it was in the last run.",
    DISTRIBUTIONS: "Each feature's values are distributed as in the last run.",
}
# A view's own limit, as a tag of its definition: `tags={"newest_event_within_hours": "48"}`.
LIMIT_TAG = "newest_event_within_hours"


def specs(key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """What a view's asset promises to check."""
    blocking = [dg.AssetCheckSpec(n, asset=key, description=d, blocking=True) for n, d in BLOCKING.items()]
    return [*blocking, *(dg.AssetCheckSpec(n, asset=key, description=d) for n, d in WARNING.items())]


def columns_check(problems: Sequence[str]) -> dg.AssetCheckResult:
    """Schema drift: a definition's types against information_schema."""
    return _result(COLUMNS, not problems, {"problems": _listed(problems)})


def problems_check(problems: Sequence[Problem]) -> dg.AssetCheckResult:
    """Files of the repository that cannot be imported; what they declared before stays registered and served."""
    return _result(FILES, not problems, {"problems": _listed([f"{p.place}: {p.message}" for p in problems])})


def rows_checks(faults: Faults) -> list[dg.AssetCheckResult]:
    """Missing keys, and entities with two rows of one time."""
    return [
        _result(KEYS, not faults.without, {"rows_without": faults.without}),
        _result(UNIQUE, not faults.ambiguous, {"entities": faults.ambiguous, "examples": _listed(faults.examples)}),
    ]


def count_check(done: Materialized) -> dg.AssetCheckResult:
    """Coverage: what was read, what our engine sent, and what Redis holds now."""
    sent = done.engine.rows if done.engine else done.entities
    rows = done.window.rows
    metadata = {"rows": rows, "entities": done.entities, "rows_sent": sent, "rows_whose_key_is_there": done.keys}
    return _result(COUNT, sent == done.entities and done.keys == rows, metadata)


def canary_check(name: str, reading: Reading) -> dg.AssetCheckResult:
    """What a reader answered for a few entities; one that did not answer is a warning, other values are an error."""
    differences = [
        f"{d.feature} of {d.entity}: gold has {d.expected!r}, online is {d.got!r}" for d in reading.differences
    ]
    metadata = {"entities": reading.entities, "differences": _listed(differences), "asked": reading.asked}
    warns = reading.silent and not differences
    return _result(name, not (differences or warns), metadata, warns=warns)


def freshness_check(view: FeatureView, window: Window, default: timedelta) -> dg.AssetCheckResult:
    """The newest event's age by the warehouse's clock, against the view's tag or ttl, or the location's default."""
    limit = limit_of(view, default)
    age = window.end - window.newest if window.newest else None
    metadata = {
        "newest_event": window.newest.isoformat() if window.newest else "none",
        "age_hours": round(age / timedelta(hours=1), 2) if age is not None else "no row has an event yet",
        "limit_hours": round(limit / timedelta(hours=1), 2),
    }
    return _result(FRESH, age is not None and age <= limit, metadata, warns=True)


def limit_of(view: FeatureView, default: timedelta) -> timedelta:
    """The age from which on a view's newest event is too old: its tag's, else the default, but never above its ttl.

    Raises ValueError for a tag that is no number of hours.
    """
    text = view.tags.get(LIMIT_TAG)
    try:
        own = timedelta(hours=float(text)) if text else default
    except ValueError:
        raise ValueError(f"{view.name} has the tag {LIMIT_TAG}={text!r}: write a number of hours, as 48") from None
    return min(own, view.ttl) if view.ttl else own


def drift_checks(found: Inspection, limits: Limits) -> list[dg.AssetCheckResult]:
    """Null rates and distributions against the last run's."""
    if found.statistics is None:
        return [_result(name, False, {"not_measured": found.unmeasured}, warns=True) for name in (NULLS, DISTRIBUTIONS)]
    if found.before is None:
        first = {"compared": "with nothing: this is the first run that counts the features"}
        return [_result(name, True, first, warns=True) for name in (NULLS, DISTRIBUTIONS)]
    seen = changes(found.before, found.statistics, limits)
    nulls, moved = [c for c in seen if c.nulls_moved], [c for c in seen if c.moved]
    return [
        _result(NULLS, not nulls, {"changed": _listed([_nulls_text(c) for c in nulls])}, warns=True),
        _result(
            DISTRIBUTIONS,
            not moved,
            {
                "changed": _listed([f"{c.feature}: {c.psi:.3f}, at most {c.allowed:.3f}" for c in moved]),
                "population_stability_index": {c.feature: round(c.psi, 4) for c in seen if c.psi is not None},
            },
            warns=True,
        ),
    ]


def _nulls_text(change: Change) -> str:
    return (
        f"{change.feature}: {change.nulls_before:.1%} before, {change.nulls:.1%} now,"
        f" {change.nulls_allowed:.1%} of change allowed"
    )


def _result(name: str, passed: bool, metadata: Mapping[str, Any], *, warns: bool = False) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.WARN if warns else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(check_name=name, passed=passed, severity=severity, metadata=dict(metadata))


def _listed(lines: Sequence[str]) -> dg.MetadataValue:
    return dg.MetadataValue.md("\n".join(f"- {line}" for line in lines) or "none")
