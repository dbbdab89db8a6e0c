"""What is a manifest, and what is said of what is none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.intake.manifest import MAX_MANIFEST_BYTES, batch_id_of, marker_key, parse

pytestmark = pytest.mark.unit

KEY = "manifests/b-1.json"


def manifest(**changes: Any) -> dict[str, Any]:
    file = {"key": "batches/b-1/places.zip", "size": 3, "sha256": "a" * 64}
    return {"version": 1, "batch_id": "b-1", "dataset": "places", "files": [file], **changes}


def with_file(**changes: Any) -> dict[str, Any]:
    (file,) = manifest()["files"]
    return manifest(files=[{**file, **changes}])


def reasons_of(fields: Any, key: str = KEY) -> list[str]:
    content = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    with pytest.raises(BatchRejectedError) as caught:
        parse(key, content)
    return caught.value.reasons


def test_a_good_manifest_is_read_with_its_optional_fields() -> None:
    parsed = parse(KEY, json.dumps(with_file(layer="Orte", crs="EPSG:25832", encoding="ISO-8859-1")).encode())
    assert parsed.batch_id == "b-1"
    assert parsed.files[0].table == "places"
    assert (parsed.files[0].layer, parsed.files[0].crs, parsed.files[0].encoding) == (
        "Orte",
        "EPSG:25832",
        "ISO-8859-1",
    )


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        ("2026-01-31", "2026-01-31T00:00:00+00:00"),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31T12:00:00.25+02:00", "2026-01-31T10:00:00.250000+00:00"),
    ],
)
@pytest.mark.parametrize("field", ["valid_from", "datetime"])
def test_a_manifest_may_say_the_time_of_its_data(field: str, said: str, moment: str) -> None:
    data_time = parse(KEY, json.dumps(manifest(**{field: said})).encode()).data_time
    assert data_time
    assert data_time.isoformat() == moment


@pytest.mark.parametrize(
    "said",
    ["yesterday", "2026-02-30", "2026-01-31T12:00:00", "20260131", "0001-01-01T00:00:00+14:00", 2026],
)
def test_a_time_that_is_none_or_has_no_zone_is_refused(said: Any) -> None:
    (reason,) = reasons_of(manifest(valid_from=said))
    assert reason.startswith("valid_from: ")


def test_a_manifest_says_one_time_of_its_data_at_most() -> None:
    (reason,) = reasons_of(manifest(valid_from="2026-01-31", datetime="2026-01-31"))
    assert "a batch has one of them" in reason


def test_a_batch_id_that_can_be_no_partition_is_refused() -> None:
    (reason,) = reasons_of(manifest(batch_id="a...b"), key="manifests/a...b.json")
    assert "without '...'" in reason


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "manifests/b-1.json is not JSON"),
        (b"", "manifests/b-1.json is not JSON"),
        (b"[]", "is a JSON list; a manifest is a JSON object"),
        (b"\xff\xfe{}", "is not UTF-8 at byte 0"),
        (b'{"version": 1, "version": 1}', "version: written more than once"),
        (b"[" * 100_000, "nested too deeply"),
        (b" " * (MAX_MANIFEST_BYTES + 1), f"a manifest has at most {MAX_MANIFEST_BYTES} bytes"),
    ],
)
def test_what_is_no_json_object_is_refused(content: bytes, said: str) -> None:
    (reason,) = reasons_of(content)
    assert said in reason


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (manifest(sql="drop table x"), "sql: unknown field; expected only version, batch_id, dataset, files"),
        (with_file(driver="VRT"), "files[0].driver: unknown field; expected only key, size, sha256"),
        (manifest(version=2), "version: input should be 1, got 2"),
        (manifest(files=[]), "files: list should have at least 1 item"),
        (manifest(dataset="Places; --"), "dataset: expected at most 63 lower-case letters"),
        ({**manifest(), "batch_id": None}, "batch_id: "),
        (with_file(size="3"), "files[0].size: input should be a valid integer"),
        (with_file(size=0), "files[0].size: "),
        (with_file(sha256="A" * 64), "files[0].sha256: expected 64 lower-case hexadecimal digits"),
        (with_file(crs="urn:ogc:def:crs:EPSG::4326"), "files[0].crs: expected 'EPSG:' and a number"),
        (with_file(crs="EPSG:4326\n"), "files[0].crs: expected 'EPSG:' and a number"),
        (with_file(encoding="../latin1"), "files[0].encoding: expected the name of a text encoding"),
        (with_file(encoding="base64"), "files[0].encoding: expected the name of a text encoding"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_expected(fields: dict[str, Any], said: str) -> None:
    assert any(reason.startswith(said) for reason in reasons_of(fields)), reasons_of(fields)


@pytest.mark.parametrize(
    "key",
    [
        "/etc/passwd",
        "../secrets/places.zip",
        "batches/../../places.zip",
        "batches/./places.zip",
        "batches//places.zip",
        "vsicurl/http/places.zip",
        "/vsizip/x.zip",
        "batches/vsis3/places.zip",
        "https://example.org/places.zip",
        "CSV:places.csv",
        "batches/pla\nces.zip",
        "batches/pla\u0000ces.zip",
        "batches/Zu\u0308rich.zip",
        "batches\\places.zip",
        "<OGRVRTDataSource>",
        '{"type":"FeatureCollection"}',
        " batches/places.zip",
        "b/" + "a" * 1024,
        "",
    ],
)
def test_a_path_or_an_address_instead_of_a_key_is_refused(key: str) -> None:
    (reason,) = reasons_of(with_file(key=key))
    assert reason.startswith("files[0].key: expected an object key")


def test_keys_may_have_letters_of_any_script() -> None:
    assert parse(KEY, json.dumps(with_file(key="batches/Zürich 2024/Größe (neu).gpkg")).encode())


@pytest.mark.parametrize("batch_id", ["B-1", "-b", "b/1", "b" * 101, "", "b 1", "b.rejected", "ä"])
def test_a_batch_id_of_other_characters_is_refused(batch_id: str) -> None:
    reasons = reasons_of(manifest(batch_id=batch_id), key=f"manifests/{batch_id}.json")
    assert reasons[0].startswith("batch_id: expected at most 100 lower-case letters")


def test_a_batch_id_is_the_name_of_its_manifest() -> None:
    (reason,) = reasons_of(manifest(), key="manifests/other.json")
    assert reason == "batch_id: expected 'other', the name of manifests/other.json, got 'b-1'"


def test_two_files_that_would_be_one_table_are_refused() -> None:
    file = manifest()["files"][0]
    (reason,) = reasons_of(manifest(files=[file, {**file, "key": "batches/b-1/Places.gpkg"}]))
    assert "would both be table places" in reason


def test_every_fault_is_told_at_once() -> None:
    assert len(reasons_of({"version": 1, "files": [{"key": "/x"}], "extra": 1})) == 6


def test_a_long_wrong_value_is_not_repeated_in_full() -> None:
    (reason,) = reasons_of(manifest(dataset="x" * 100_000))
    assert len(reason) < 300


def test_what_does_not_print_is_escaped_and_reasons_without_end_are_cut() -> None:
    (reason,) = reasons_of(manifest(**{"\0": 1}))
    assert reason.startswith("\\x00: unknown field")
    (reason,) = reasons_of(b'{"\\ud800": 1}')
    assert reason.startswith("a field's name: input should be a valid string")
    reasons = reasons_of(manifest(**{f"extra{n}": n for n in range(100)}))
    assert (len(reasons), reasons[-1]) == (21, "and 80 more")


def test_the_marker_lies_beside_the_manifest() -> None:
    assert marker_key(KEY) == "manifests/b-1.rejected.json"
    assert batch_id_of(KEY) == "b-1"
