"""Archives: what is taken out of them, and what is refused before anything is."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.files.archives import Limits, extract
from terrane_spatial.files.formats import FORMATS

pytestmark = pytest.mark.unit

SHP = b"\0\0\x27\x0a" + bytes(24) + b"\xe8\x03\0\0" + bytes(68)
GEOJSON = b'{"type": "FeatureCollection", "features": []}'


def archive(tmp_path: Path, members: dict[str, bytes], mode: int = stat.S_IFREG | 0o644) -> Path:
    path = tmp_path / "in.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            opened.writestr(info, content)
    return path


def refusal(tmp_path: Path, path: Path, limits: Limits | None = None) -> str:
    target = tmp_path / "out"
    target.mkdir()
    with pytest.raises(BatchRejectedError) as caught:
        extract(path, target / "places", "b/places.zip", FORMATS, limits or Limits())
    assert [p.name for p in tmp_path.rglob("*evil*")] == []
    return str(caught.value)


def test_a_shapefile_is_taken_out_under_names_of_our_choice(tmp_path: Path) -> None:
    members = {
        "Orte/Städte.shp": SHP,
        "Orte/Städte.shx": SHP,
        "Orte/Städte.DBF": b"d",
        "Orte/read.me": b"r",
        "__MACOSX/Orte/._Städte.shp": b"m",
    }
    target = tmp_path / "out"
    target.mkdir()
    assert extract(archive(tmp_path, members), target / "places", "b/places.zip", FORMATS) == target / "places.shp"
    assert sorted(p.name for p in target.iterdir()) == ["places.dbf", "places.shp", "places.shx"]


@pytest.mark.parametrize("name", ["../evil.shp", "/tmp/evil.shp", "a/../../evil.shp", "..\\evil.shp", "C:evil.shp"])
def test_a_member_that_leads_out_of_the_archive_is_refused(tmp_path: Path, name: str) -> None:
    assert "leads out of the archive; nothing was extracted" in refusal(tmp_path, archive(tmp_path, {name: b"x"}))


def test_a_link_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, {"evil.shp": b"/etc/passwd"}, stat.S_IFLNK | 0o777)
    assert "is a link or a device" in refusal(tmp_path, path)


def test_a_bomb_is_refused_by_what_it_says_it_holds(tmp_path: Path) -> None:
    path = archive(tmp_path, {"evil.geojson": b"0" * (20 << 20)})
    assert "at most 200 times its size" in refusal(tmp_path, path)


def test_a_bomb_that_lies_about_its_size_is_refused_while_it_is_extracted(tmp_path: Path) -> None:
    path = archive(tmp_path, {"places.geojson": GEOJSON.ljust(1_000_000)})
    content = path.read_bytes().replace((1_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(content)
    assert "places.zip" in refusal(tmp_path, path)
    assert sum(p.stat().st_size for p in (tmp_path / "out").iterdir()) <= 10


def test_more_members_than_allowed_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, {f"{i}.txt": b"" for i in range(4)})
    assert "has 4 members; at most 3" in refusal(tmp_path, path, Limits(members=3))


def test_an_archive_in_an_archive_is_refused(tmp_path: Path) -> None:
    assert "is an archive itself" in refusal(tmp_path, archive(tmp_path, {"a.shp": SHP, "b.zip": b""}))


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ({"a.txt": b""}, "none"),
        ({"a.shp": b"x"}, "none"),
        ({"a.shp": SHP, "b.gpkg": GEOJSON}, "a.shp (Shapefile), b.gpkg (GeoJSON)"),
    ],
)
def test_an_archive_holds_one_spatial_file(tmp_path: Path, members: dict[str, bytes], found: str) -> None:
    assert f"must hold one spatial file, and holds: {found};" in refusal(tmp_path, archive(tmp_path, members))


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "in.zip"
    path.write_bytes(b"not a zip")
    assert "is no zip archive that can be read" in refusal(tmp_path, path)


def test_a_file_is_told_by_its_content_whatever_its_name(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    path = archive(tmp_path, {"orte.exe": GEOJSON, "map.png": b"a picture that is none"})
    assert extract(path, target / "places", "b/places.zip", FORMATS) == target / "places.geojson"


def test_a_geodatabase_is_taken_out_as_a_folder(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    names = ("a00000001.gdbtable", "a00000001.gdbtablx", "gdb", "run.py", "a00000001.gdbtable.lock/x")
    path = archive(tmp_path, {f"x/Places.gdb/{name}": b"" for name in names})
    made = extract(path, target / "places", "b/places.zip", FORMATS)
    assert made == target / "places.gdb"
    assert sorted(p.name for p in made.iterdir()) == ["a00000001.gdbtable", "a00000001.gdbtablx", "gdb"]


def test_two_members_that_would_be_one_file_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, {"a.shp": SHP, "a.shx": b"", "a.dbf": b"", "A.DBF": b""})
    assert "two members that are both .dbf" in refusal(tmp_path, path)


def test_a_file_without_what_it_needs_is_refused(tmp_path: Path) -> None:
    assert "a.shp is not whole without its file .shx, .dbf" in refusal(tmp_path, archive(tmp_path, {"a.shp": SHP}))


def test_a_name_with_control_characters_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, archive(tmp_path, {"evil\x1b[2J.geojson": GEOJSON}))
    assert "has control characters in its name" in said
    assert "\x1b" not in said


def test_an_index_too_large_to_read_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = archive(tmp_path, {f"{i:0200}.txt": b"" for i in range(100)})
    assert "has an index of" in refusal(tmp_path, path, Limits(index_bytes=1000))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_packed_by_another_method_is_refused(tmp_path: Path, method: int) -> None:
    path = tmp_path / "in.zip"
    with zipfile.ZipFile(path, "w", method) as opened:
        opened.writestr("a.geojson", GEOJSON)
    assert "is packed by another method than deflate" in refusal(tmp_path, path)
