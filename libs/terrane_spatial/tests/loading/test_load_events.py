"""What a run's events tell of loading: figures as observations of what landed."""

from __future__ import annotations

import pytest
from spatial_platform import Platform

pytestmark = pytest.mark.integration


def test_loading_s_figures_are_in_the_events_of_the_run(platform: Platform) -> None:
    platform.put_sample()
    result = platform.run_next()
    assert result.success
    observations = [e.asset_observation_data.asset_observation for e in result.all_events if e.is_asset_observation]
    assert observations
    assert {o.asset_key.to_user_string() for o in observations} == {"landing_zone/places"}
    figures = {name: value.data for name, value in observations[-1].metadata.items()}  # type: ignore[union-attr]
    assert figures["batches/natural-earth-1/countries.gpkg"]["rows"] == 177
    assert figures["batches/natural-earth-1/places.zip"]["bytes"] > 1000
