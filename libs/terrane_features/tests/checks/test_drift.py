"""What counts as drift: a published measure, with allowance for what few rows do by chance."""

from __future__ import annotations

import math
import random

import pytest

from terrane_features.checks.bins import Bins
from terrane_features.checks.drift import Limits, by_chance, changes, merged, stability_index
from terrane_features.checks.statistics import FeatureStatistics, Statistics

pytestmark = pytest.mark.unit
EDGES = tuple(float(n) for n in range(1, 10))


def numbers(counts: tuple[int, ...], nulls: int = 0) -> FeatureStatistics:
    return FeatureStatistics(Bins("number", edges=EDGES), sum(counts) + nulls, nulls, 0, counts)


def compare(before: FeatureStatistics, now: FeatureStatistics, limits: Limits | None = None):
    old = Statistics(before.rows, {"f": before})
    new = Statistics(now.rows, {"f": now}, {"f": now.counts})
    (change,) = changes(old, new, limits or Limits())
    return change


def test_the_index_is_the_sum_over_bins_of_the_difference_times_the_logarithm_of_the_ratio() -> None:
    before, now = [100_000, 300_000, 600_000], [200_000, 300_000, 500_000]
    expected = sum((q - p) * math.log(q / p) for p, q in ((0.1, 0.2), (0.3, 0.3), (0.6, 0.5)))
    assert stability_index(list(zip(before, now, strict=True))) == pytest.approx(expected, rel=1e-4)


def test_the_same_distribution_has_not_moved_and_another_has() -> None:
    even = tuple([1000] * 10)
    assert compare(numbers(even), numbers(even)).psi == pytest.approx(0)
    change = compare(numbers(even), numbers((10_000, *[0] * 9)))
    assert change.moved
    assert change.allowed == 0.25


def test_a_constant_that_becomes_another_constant_has_moved() -> None:
    edges = Bins("number", edges=(4.9, 5.1))
    before = FeatureStatistics(edges, 500, 0, 0, (0, 500, 0))
    now = FeatureStatistics(edges, 500, 0, 0, (0, 0, 500))
    assert compare(before, now).moved


def test_small_samples_of_one_population_raise_no_alarm_where_the_bare_limit_would() -> None:
    chance = random.Random(7)
    alarms = bare = 0
    for _ in range(300):
        pair = [[0] * 10, [0] * 10]
        for sample in pair:
            for _ in range(40):
                sample[chance.randrange(10)] += 1
        change = compare(numbers(tuple(pair[0])), numbers(tuple(pair[1])))
        alarms += change.moved
        bare += change.psi is not None and change.psi > 0.25
    assert bare > 100
    assert alarms <= 3


@pytest.mark.parametrize(("degrees", "quantile"), [(1, 10.828), (4, 18.467), (9, 27.877), (20, 45.315)])
def test_what_chance_does_is_the_quantile_of_chi_squared_that_tables_give(degrees: int, quantile: float) -> None:
    assert by_chance(degrees + 1, 1, 10**12) == pytest.approx(quantile, rel=0.04)


def test_small_bins_are_merged_with_their_neighbours_and_no_row_is_lost() -> None:
    before, now = (1, 1, 500, 2, 400, 1), (0, 3, 450, 1, 500, 0)
    pairs = merged(before, now, ordered=True)
    assert len(pairs) == 2
    assert [sum(p[i] for p in pairs) for i in (0, 1)] == [sum(before), sum(now)]


def test_rare_texts_are_compared_as_one() -> None:
    pairs = merged((5, 500, 400, 6), (4, 490, 420, 9), ordered=False)
    assert pairs == [(500, 490), (400, 420), (11, 13)]


@pytest.mark.parametrize(("nulls", "moved"), [(100, False), (140, False), (160, True), (40, True), (1000, True)])
def test_a_share_of_nulls_may_change_by_five_points_up_or_down(nulls: int, moved: bool) -> None:
    before = numbers((90, *[90] * 9), nulls=100)
    now = numbers((100 - nulls // 10, *[100 - nulls // 10] * 9), nulls=nulls)
    assert compare(before, now).nulls_moved is moved


def test_a_few_nulls_among_few_rows_are_chance() -> None:
    assert not compare(numbers((2,) * 10), numbers((2,) * 9 + (0,), nulls=2)).nulls_moved


def test_a_feature_that_is_new_is_compared_with_nothing() -> None:
    now = numbers(tuple([10] * 10))
    assert changes(Statistics(100, {}), Statistics(100, {"f": now}), Limits()) == []


def test_a_feature_that_lost_all_its_values_has_moved_in_its_nulls() -> None:
    change = compare(numbers(tuple([10] * 10)), numbers(tuple([0] * 10), nulls=100))
    assert change.psi is None
    assert change.nulls_moved
