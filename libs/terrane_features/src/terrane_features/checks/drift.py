"""Whether a feature is distributed as it was in the last run.

The measure is the population stability index, the sum of (p - q) ln(p / q) over bins: under 0.1 nothing moved, from
0.1 to 0.25 something did, above it is another population (Siddiqi, Credit Risk Scorecards, 2006). Between two samples
of one population it is about chi-squared times (1/n + 1/m) (Yurdakul and Naranjo, Journal of Risk Model Validation,
14(4), 2020): what so few rows reach by chance is no drift.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from terrane_features.checks.statistics import FeatureStatistics, Statistics

# Bins that hold less than this of both runs together are merged: the logarithm makes much of a handful of rows.
LEAST_SHARE = 0.05
# Of the normal distribution: one false alarm in a thousand.
Z = 3.09


@dataclass(frozen=True)
class Limits:
    """From when on a change is told.

    Attributes:
        psi: population stability index of a feature's values, nulls left out.
        null_rate: change of the share of nulls, up or down.
    """

    psi: float = 0.25
    null_rate: float = 0.05


@dataclass(frozen=True)
class Change:
    """A feature now and then.

    Attributes:
        psi: None where there is nothing to compare: a new feature, or one without values.
        allowed: the limit, or what chance alone may reach where that is more.
        nulls_before, nulls: shares.
    """

    feature: str
    psi: float | None
    allowed: float
    nulls_before: float
    nulls: float
    nulls_allowed: float

    @property
    def moved(self) -> bool:
        return self.psi is not None and self.psi > self.allowed

    @property
    def nulls_moved(self) -> bool:
        return abs(self.nulls - self.nulls_before) > self.nulls_allowed


def changes(before: Statistics, now: Statistics, limits: Limits) -> list[Change]:
    """A change for each feature that both runs have."""
    both = [name for name in now.features if name in before.features]
    return [_change(name, before.features[name], now, limits) for name in both]


def _change(name: str, old: FeatureStatistics, now: Statistics, limits: Limits) -> Change:
    new, placed = now.features[name], now.compared.get(name)
    psi, allowed = None, limits.psi
    if placed is not None and sum(placed) and sum(old.counts):
        pairs = merged(old.counts, placed, ordered=old.bins.kind != "text")
        psi = stability_index(pairs)
        allowed = max(limits.psi, by_chance(len(pairs), sum(old.counts), sum(placed)))
    nulls_allowed = max(limits.null_rate, _share_by_chance(old, new))
    return Change(name, psi, allowed, old.null_rate, new.null_rate, nulls_allowed)


def stability_index(pairs: Sequence[tuple[int, int]]) -> float:
    """Of rows by bin, before and now; half a row is added to each, so that an empty bin has a logarithm."""
    before, now = (sum(pair[i] for pair in pairs) + len(pairs) / 2 for i in (0, 1))
    shares = [((old + 0.5) / before, (new + 0.5) / now) for old, new in pairs]
    return sum((p - q) * math.log(p / q) for q, p in shares)


def by_chance(bins: int, before: int, now: int) -> float:
    """What the index exceeds once in a thousand times when nothing changed (chi-squared by Wilson and Hilferty)."""
    if bins < 2:
        return 0.0
    degrees = bins - 1
    part = 2 / (9 * degrees)
    return degrees * (1 - part + Z * math.sqrt(part)) ** 3 * (1 / before + 1 / now)


def merged(before: Sequence[int], now: Sequence[int], *, ordered: bool) -> list[tuple[int, int]]:
    """Rows by bin, before and now, without small bins: each goes to its neighbour, or without order all to one."""
    total = [sum(before) or 1, sum(now) or 1]
    pairs = list(zip(before, now, strict=True))

    def large(pair: tuple[int, int]) -> bool:
        return (pair[0] / total[0] + pair[1] / total[1]) / 2 >= LEAST_SHARE

    if not ordered:
        rest = [pair for pair in pairs if not large(pair)]
        kept = [pair for pair in pairs if large(pair)]
        return [*kept, (sum(p[0] for p in rest), sum(p[1] for p in rest))] if any(map(sum, rest)) else kept
    done: list[tuple[int, int]] = []
    open_pair = (0, 0)
    for pair in pairs:
        open_pair = (open_pair[0] + pair[0], open_pair[1] + pair[1])
        if large(open_pair):
            done.append(open_pair)
            open_pair = (0, 0)
    if any(open_pair):
        last = done.pop() if done else (0, 0)
        done.append((last[0] + open_pair[0], last[1] + open_pair[1]))
    return done


def _share_by_chance(old: FeatureStatistics, new: FeatureStatistics) -> float:
    rows = old.rows + new.rows
    if not (old.rows and new.rows):
        return 1.0
    pooled = (old.nulls + new.nulls) / rows
    return Z * math.sqrt(pooled * (1 - pooled) * (1 / old.rows + 1 / new.rows))
