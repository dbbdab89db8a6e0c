"""Features are counted in the warehouse, and the counts are those of the rows."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from terrane_features.checks import history
from terrane_features.checks.bins import BINS, LEVELS, edges_of
from terrane_features.checks.statistics import NotMeasured

pytestmark = pytest.mark.integration
EVEN = (
    "n % 3, n * 1000, n / 2.0, sqrt(n), n / 7.0, n % 4 = 0, '2026-01-01'::timestamptz + n * interval '1 hour',"
    " 'word ' || n % 5, decode(repeat('00', n % 6), 'hex'),"
    " array_fill(1.0::float8, array[n % 3 + 1]), jsonb_build_array(n)"
)


def test_every_type_is_counted_and_no_row_is_lost(things) -> None:
    things.fill(EVEN, 5000)
    found = things.measure()
    assert found.rows == 5000
    assert {name: f.bins.kind for name, f in found.features.items()} == {
        **dict.fromkeys(("whole", "big", "real4", "real8", "exact", "yes"), "number"),
        "day": "time",
        "word": "text",
        **dict.fromkeys(("blob", "list", "doc"), "length"),
    }
    for feature in found.features.values():
        assert (sum(feature.counts), feature.nulls, feature.strange) == (5000, 0, 0)


def test_bins_hold_the_rows_that_lie_between_their_edges(things) -> None:
    things.fill(EVEN, 5000)
    feature = things.measure().features["real8"]
    values = [math.sqrt(n) for n in range(1, 5001)]
    edges = [-math.inf, *feature.bins.edges, math.inf]
    expected = [sum(low <= v < high for v in values) for low, high in pairwise(edges)]
    assert feature.counts == tuple(expected)
    assert len(feature.counts) == BINS + 2
    assert (feature.least, feature.most) == (1.0, math.sqrt(5000))
    assert feature.mean == pytest.approx(sum(values) / 5000)


def test_few_values_have_a_bin_each(things) -> None:
    things.fill(EVEN, 3000)
    found = things.measure().features
    assert found["whole"].counts == (0, 1000, 1000, 1000, 0)
    assert found["yes"].counts == (0, 2250, 750, 0)
    assert found["word"].bins.levels == ("word 0", "word 1", "word 2", "word 3", "word 4")
    assert found["word"].counts == (0, 600, 600, 600, 600, 600)


def test_nulls_and_what_is_no_number_are_counted_apart(things) -> None:
    strange = "case n % 4 when 0 then null when 1 then 'NaN'::float8 when 2 then '-Infinity' else n end"
    things.fill(f"null, null, null, {strange}, null, null, null, null, null, null, null", 1000)
    found = things.measure().features
    feature = found["real8"]
    assert (feature.nulls, feature.strange, sum(feature.counts)) == (250, 500, 250)
    assert feature.mean == pytest.approx(sum(range(3, 1001, 4)) / 250)
    assert (found["word"].nulls, found["word"].mean, found["whole"].least) == (1000, None, None)


def test_numbers_near_the_end_of_the_scale_do_not_overflow(things) -> None:
    things.fill("null, null, null, 1.7e308, null, null, null, null, null, null, null", 1000)
    feature = things.measure().features["real8"]
    assert feature.mean == pytest.approx(1.7e308)
    assert feature.counts[1] == 1000


def test_the_next_run_is_counted_in_the_last_ones_bins_too(things) -> None:
    things.fill(EVEN, 2000)
    before = things.measure()
    things.connection.execute("update gold.things set whole = 7, word = 'another' where id % 2 = 0")
    now = things.measure(before)
    assert now.compared["whole"] == (0, 333, 334, 333, 1000)
    assert now.compared["word"] == (1000, 200, 200, 200, 200, 200)
    assert now.compared["big"] == before.features["big"].counts
    assert now.features["word"].bins.levels[0] == "another"


def test_a_feature_of_another_kind_than_before_is_not_compared(things) -> None:
    things.fill(EVEN, 500)
    before = things.measure()
    things.connection.execute("alter table gold.things alter column whole type text")
    assert "whole" not in things.measure(before).compared


def test_a_text_that_hardly_anybody_has_is_shown_nowhere(things) -> None:
    person = "'person ' || n || '@example.org'"
    things.fill(f"null, null, null, null, null, null, null, {person}, null, null, null", 2000)
    feature = things.measure().features["word"]
    assert feature.bins.levels == ()
    assert feature.counts == (2000,)


def test_of_an_entity_with_a_history_the_newest_row_counts(things) -> None:
    things.fill(EVEN, 300)
    things.connection.execute("insert into gold.things select id, at - interval '1 day', created, 99 from gold.things")
    found = things.measure(repeated=True)
    assert found.rows == 300
    assert found.features["whole"].counts == (0, 100, 100, 100, 0)


def test_statistics_are_kept_and_found_again_as_they_were(things) -> None:
    things.fill(EVEN, 400)
    things.connection.execute("create schema feast")
    assert history.last(things.connection, "p", "things") is None
    first = things.measure()
    history.keep(things.connection, "p", "things", first, "run 1")
    assert history.last(things.connection, "p", "things") == first
    things.connection.execute("update gold.things set whole = 1")
    second = things.measure()
    history.keep(things.connection, "p", "things", second, "run 2")
    assert history.last(things.connection, "p", "things") == second
    assert history.last(things.connection, "other", "things") is None


def test_a_count_that_takes_too_long_is_given_up_and_the_transaction_goes_on(
    things, monkeypatch: pytest.MonkeyPatch
) -> None:
    things.fill(EVEN, 200_000)
    monkeypatch.setattr("terrane_features.checks.statistics.LONGEST_S", 0.02)
    with pytest.raises(NotMeasured, match=r"^the features of things were not counted: .*timeout"):
        things.measure()
    assert things.one("select count(*) from gold.things") == (200_000,)


@pytest.mark.parametrize("value", [0.0, 5.0, -3e300, 1e-300])
def test_a_constant_lies_between_two_edges(value: float) -> None:
    below, above = edges_of([value], 1, value, value)
    assert below < value < above


def test_many_values_of_which_nearly_all_are_one_have_a_bin_on_each_side() -> None:
    edges = edges_of([float(n) for n in range(LEVELS)], 500, 0.0, 0.0)
    assert len(edges) == 2
    assert edges[0] < 0 < edges[1]
