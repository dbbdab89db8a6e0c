"""The map of a batch: what lies where, drawn from numbers that PostGIS gives."""

from __future__ import annotations

import io
import sys

import pytest
from PIL import Image

from terrane.postgres import PostgresResource
from terrane_spatial.publishing import map_preview
from terrane_spatial.runs import run_schema

pytestmark = pytest.mark.integration
RUN = "preview"


def test_a_map_shows_outer_rings_of_all_parts_and_parses_no_geometry(
    postgis: PostgresResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A square of 10 degrees with a hole, and another apart from it; GEOS is not there to parse them."""
    monkeypatch.setitem(sys.modules, "shapely", None)
    with run_schema.connect(postgis, RUN) as connection:
        run_schema.create(connection, RUN, RUN)
        try:
            connection.execute(
                "create table areas as select st_geomfromtext('MULTIPOLYGON(((0 40, 10 40, 10 50, 0 50, 0 40),"
                " (4 44, 6 44, 6 46, 4 46, 4 44)), ((20 40, 30 40, 30 50, 20 50, 20 40)))', 4326) as geometry"
            )
            image = Image.open(io.BytesIO(map_preview.draw(connection, "areas", None))).convert("RGB")
        finally:
            run_schema.drop(connection, run_schema.schema_of(RUN))
    land = tuple(bytes.fromhex(map_preview.LAND[1:]))
    frame_west, frame_east = -30 * map_preview.MARGIN, 30 * (1 + map_preview.MARGIN)

    def colour(x: float) -> tuple[int, ...]:
        # Off the grid's lines, which are drawn at whole degrees.
        at = int((x - frame_west) / (frame_east - frame_west) * image.width)
        found = image.getpixel((at, int(image.height * 0.53)))
        assert isinstance(found, tuple)
        return found

    near = [sum(abs(a - b) for a, b in zip(colour(x), land, strict=True)) < 12 for x in (2.7, 12.7, 17.7, 22.7)]
    assert near == [True, False, False, True]
