"""Two environments on one Postgres, one folder of buckets and one Redis change nothing of each other."""

from __future__ import annotations

import pytest
from benchmarks.environments.touching import Touching, measure

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ENVIRONMENTS = {"", "staging"}
STORES = {"postgres", "objects", "redis"}


@pytest.fixture(scope="module")
def found() -> Touching:
    return measure()


def test_nothing_of_an_environment_changes_while_the_other_runs(found: Touching) -> None:
    assert found.touched == {environment: set() for environment in ENVIRONMENTS}


def test_each_has_its_own_in_every_store_and_changed_it(found: Touching) -> None:
    """Or nothing would have been compared."""
    assert set(found.own) == ENVIRONMENTS
    for environment in ENVIRONMENTS:
        assert set(found.own[environment]) == STORES
        assert {store for store, _ in found.changed_itself[environment]} == STORES
    assert found.own[""]["redis"] == found.own["staging"]["redis"] > 100


def test_both_serve_their_features(found: Touching) -> None:
    assert set(found.served) == ENVIRONMENTS
    for values in found.served.values():
        assert len(values) == 3
        assert any(values)
