"""A location says itself what the platform must know of it, and everything else follows from that."""

from __future__ import annotations

import pytest

from terrane_cli.locations.description import read_locations
from terrane_cli.locations.generate import outdated
from terrane_cli.project import Project

pytestmark = pytest.mark.unit


def test_every_location_describes_itself(project: Project) -> None:
    locations, wrong = read_locations(project)
    assert wrong == []
    assert sorted(locations) == project.locations


def test_what_follows_from_the_locations_is_as_the_generator_writes_it(project: Project) -> None:
    assert outdated(project) == [], "run `make locations`"
