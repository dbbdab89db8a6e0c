"""The data of the sample source: constants, in order, and consistent."""

import pytest
from faulty_api import PLACES

from source_api import generator

pytestmark = pytest.mark.unit


def test_sixty_days_hold_what_the_readme_says():
    assert (generator.users_before(60), generator.entries_before(60)) == (4788, 239_550)
    assert sum(generator.user_versions_of(day) for day in range(60)) == 7146


@pytest.mark.parametrize("day", [0, 1, 6, 7, 59])
def test_a_day_has_as_many_rows_as_announced_in_strict_order(day):
    versions, entries = generator.user_versions(day), generator.journal_entries(day, PLACES)
    assert (len(versions), len(entries)) == (generator.user_versions_of(day), generator.entries_of(day))
    for rows in (versions, entries):
        keys = [(row.at_ms, row.id) for row in rows]
        assert keys == sorted(set(keys))
        assert 0 <= keys[0][0] <= keys[-1][0] < generator.DAY_MS


def test_a_day_is_the_same_whatever_was_asked_before():
    first = generator.journal_entries(9, PLACES), generator.user_versions(9)
    for day in (3, 12, 8):
        generator.journal_entries(day, PLACES)
        generator.user_versions(day)
    assert (generator.journal_entries(9, PLACES), generator.user_versions(9)) == first


@pytest.mark.parametrize("day", [0, 1, 30])
def test_entries_are_by_users_who_have_signed_up(day):
    signed_up = dict.fromkeys(range(1, generator.users_before(day) + 1), 0)
    signed_up |= {v.id: v.at_ms for v in generator.user_versions(day) if v.signed_up_day == day}
    assert all(signed_up[entry.user_id] <= entry.at_ms for entry in generator.journal_entries(day, PLACES))


def test_a_changed_user_keeps_when_it_signed_up():
    born = {v.id: (v.signed_up_day, v.signed_up_ms) for day in range(20) for v in generator.user_versions(day)[:]}
    for day in range(20):
        for version in generator.user_versions(day):
            assert (version.signed_up_day, version.signed_up_ms) == born[version.id]
            assert (
                generator.sign_up_times(version.signed_up_day)[
                    version.id - generator.users_before(version.signed_up_day) - 1
                ]
                == version.signed_up_ms
            )
