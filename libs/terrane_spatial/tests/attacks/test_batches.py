"""Hostile batches, from the landing zone to the end of their run: rejected with a reason; the next good one works."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from typing import Any

import pytest
from spatial_batches import countries, geojson_batch
from spatial_platform import Platform, failure_of

from terrane_spatial.intake.manifest import MAX_MANIFEST_BYTES

pytestmark = pytest.mark.integration


def zipped(name: str, content: bytes, mode: int = stat.S_IFREG | 0o644) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, content)
    return sink.getvalue()


def assert_rejected(platform: Platform, said: str, batch_id: str = "bad") -> None:
    """The run fails with the reason; marker and ledger have it; nothing is left; the next good batch is published."""
    result = platform.run_next()
    assert not result.success
    assert said in failure_of(result)
    marker, batch = platform.marker(batch_id), platform.batch(batch_id)
    assert marker
    assert batch
    assert (batch.state, batch.reasons) == ("rejected", marker["reasons"])
    assert platform.schemas() == []
    assert platform.published() == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (zipped("../../evil.geojson", b'{"type": "FeatureCollection"'), "leads out of the archive"),
        (zipped("evil.geojson", b"/etc/passwd", stat.S_IFLNK | 0o777), "is a link or a device"),
        (zipped("evil.geojson", b'{"type": "FeatureCollection"' + b" " * (200 << 20)), "times its size"),
        (b"<OGRVRTDataSource><OGRVRTLayer name='x'/></OGRVRTDataSource>", "its content is of no format known here"),
        (b'{"type":"Feature","properties":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "GDAL cannot read it"),
    ],
    ids=["slip", "link", "bomb", "document", "nested"],
)
def test_a_hostile_file_is_the_end_of_its_batch_alone(platform: Platform, content: bytes, said: str) -> None:
    platform.put("bad", {"countries.geojson": countries(), "places.zip": content})
    assert_rejected(platform, said)
    platform.put("good", geojson_batch())
    assert platform.run_next().success


def test_a_manifest_of_100_megabytes_is_not_read_whole_and_is_rejected(platform: Platform) -> None:
    platform.put_manifest("huge", b'{"version": 1, "batch_id": "huge", "x": "' + b"x" * (100 << 20) + b'"}')
    assert platform.requests() == []
    marker, batch = platform.marker("huge"), platform.batch("huge")
    assert marker
    assert batch
    assert f"a manifest has at most {MAX_MANIFEST_BYTES} bytes" in marker["reasons"][0]
    assert len(batch.manifest) < 1 << 17


def test_names_that_are_sql_are_names(platform: Platform) -> None:
    properties: dict[str, Any] = {'name"; drop table _loads; --': 1, "x') ; select pg_sleep(99); --": 2, "name": "a"}
    feature = {"type": "Feature", "properties": properties, "geometry": {"type": "Point", "coordinates": [5, 5]}}
    content = json.dumps({"type": "FeatureCollection", "name": 'l"; drop schema public; --', "features": [feature]})
    platform.put("sql", geojson_batch(places=content.encode()))
    result = platform.run_next()
    assert result.success
    (materialization,) = result.asset_materializations_for_node("data_lake__places")
    loads: Any = materialization.metadata["loads"].value
    renamed = loads["places"]["renamed"]
    assert renamed['name"; drop table _loads; --'] == "name_drop_table_loads"
