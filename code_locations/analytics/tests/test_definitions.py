"""The location from the API and the lake to gold and the export, on real stores."""

import pytest

from source_api import generator

DAYS = 4


@pytest.mark.integration
@pytest.mark.slow
def test_days_of_the_api_become_gold_and_an_export(platform, places):
    ingested = platform.run("raw/users", "raw/journal_entries", days=("2026-01-01", "2026-01-04"))
    assert ingested.success
    assert platform.run("raw/game_types", "raw/places").success
    built = platform.run(*platform.models(), "exports/user_journal_features")
    assert built.success

    with platform.resources["warehouse"].connect() as connection:
        counted = "select count(*), sum(entries_total)::bigint, count(distinct event_timestamp) from gold.user_journal_features"
        assert connection.execute(counted).fetchone() == (
            generator.users_before(DAYS),
            generator.entries_before(DAYS),
            1,
        )
