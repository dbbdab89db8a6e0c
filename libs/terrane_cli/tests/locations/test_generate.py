"""What follows from a location elsewhere: written by one command, and taken away by the same one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from terrane_cli.cluster.images import images
from terrane_cli.locations.description import LocationError
from terrane_cli.locations.generate import outdated, write
from terrane_cli.project import Project

pytestmark = pytest.mark.unit

WRITTEN = (
    "skaffold.yaml",
    "pyproject.toml",
    "images/locations.json",
    "charts/platform/values/locations.yaml",
    "docs/environment.md",
)
PYPROJECT = """
[project]
name = "maps"
version = "0.1.0"
description = "Maps of everything"
dependencies = ["terrane", "terrane-spatial"]

[tool.uv.sources]
terrane = { path = "../../libs/terrane" }
terrane-spatial = { path = "../../libs/terrane_spatial" }
"""


@pytest.fixture
def copy(tmp_path: Path) -> Project:
    """What the generator reads and writes of this checkout."""
    here = Project.here().root
    files = [*WRITTEN, *(str(f.relative_to(here)) for pattern in _READ for f in here.glob(pattern))]
    for file in files:
        target = tmp_path / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(here / file, target)
    for described in map(yaml.safe_load, (f.read_text() for f in here.glob("code_locations/*/location.yaml"))):
        for folder in (*described.get("folders", ()), *described.get("python_elsewhere", ())):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for support in here.glob("*/*/tests/support"):
        (tmp_path / support.relative_to(here)).mkdir(parents=True)
    return Project(tmp_path)


_READ = (
    "code_locations/*/pyproject.toml",
    "code_locations/*/location.yaml",
    "code_locations/*/Dockerfile",
    "libs/*/pyproject.toml",
    "images/*/Dockerfile",
)


def _add(project: Project, text: str = "kind: spatial\nneeds: [spatial]\nsystem_packages: [libexpat1]\n") -> None:
    folder = project.location_folder("maps")
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "location.yaml").write_text(text)


def _contents(project: Project) -> dict[str, str]:
    return {name: (project.root / name).read_text() for name in WRITTEN}


def test_a_new_location_has_its_place_everywhere_and_leaves_nothing_when_it_goes(copy: Project) -> None:
    before = _contents(copy)
    _add(copy)
    assert sorted(outdated(copy)) == sorted(WRITTEN)
    assert sorted(write(copy)) == sorted(WRITTEN)
    assert outdated(copy) == []
    assert all("maps" in text for text in _contents(copy).values())
    shutil.rmtree(copy.location_folder("maps"))
    write(copy)
    assert _contents(copy) == before


def test_its_entry_gives_it_what_it_needs_and_nothing_else(copy: Project) -> None:
    _add(copy)
    write(copy)
    entries = _values(copy)["dagster"]["dagster-user-deployments"]["deployments"]
    assert [entry["name"] for entry in entries] == copy.locations
    maps = next(entry for entry in entries if entry["name"] == "maps")
    assert {a["name"] for a in maps["envConfigMaps"]} == {
        "terrane-spatial-address",
        "terrane-s3-address",
        "terrane-execution-address",
    }
    assert [v["name"] for v in maps["env"]] == ["POSTGRES_PASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
    assert maps["codeServerArgs"] == ["-m", "maps.definitions", "--location-name", "maps"]


def test_its_image_is_built_by_the_shared_dockerfile_from_what_the_folder_says(copy: Project) -> None:
    _add(copy)
    write(copy)
    (image,) = [image for image in images(copy) if image.name == "maps"]
    assert image.dockerfile == "images/location/Dockerfile"
    assert image.arguments == {
        "LOCATION": "maps",
        "DESCRIPTION": "Maps of everything",
        "VERSION": "0.1.0",
        "SYSTEM_PACKAGES": "libexpat1",
        "FOLDER_1": "libs/terrane_spatial",
    }
    artifacts = yaml.safe_load((copy.root / "skaffold.yaml").read_text())["build"]["artifacts"]
    (built,) = [a for a in artifacts if a["image"] == "terrane/maps"]
    assert built["docker"] == {"dockerfile": image.dockerfile, "buildArgs": image.arguments}
    assert [rule["src"] for rule in built["sync"]["manual"]] == [
        "code_locations/maps/src/**/*",
        "libs/terrane_spatial/src/**/*",
    ]


def test_what_it_alone_reads_is_given_to_it_and_in_the_page_of_variables(copy: Project) -> None:
    said = "  MAPS_URL: {meaning: where maps are, value: 'https://example.com/{x}'}\n"
    said += "  MAPS_KEY: {meaning: key for them, secret: true}\n"
    _add(copy, f"kind: plain\nvariables:\n{said}")
    write(copy)
    entries = {e["name"]: e for e in _values(copy)["dagster"]["dagster-user-deployments"]["deployments"]}
    given = {variable["name"]: variable for variable in entries.pop("maps")["env"]}
    assert given["MAPS_URL"] == {"name": "MAPS_URL", "value": "https://example.com/{x}"}
    assert given["MAPS_KEY"]["valueFrom"] == {"secretKeyRef": {"name": "terrane-maps-variables", "key": "MAPS_KEY"}}
    assert "MAPS_" not in str(entries)
    page = (copy.root / "docs/environment.md").read_text()
    assert "| `MAPS_URL` | maps | where maps are |  |\n| `MAPS_KEY` | maps | key for them | yes |\n" in page


def test_a_dockerfile_in_its_folder_is_taken_instead(copy: Project) -> None:
    _add(copy)
    (copy.location_folder("maps") / "Dockerfile").write_text("FROM scratch\n")
    write(copy)
    found = json.loads((copy.root / "images/locations.json").read_text())["maps"]
    assert found == {"dockerfile": "code_locations/maps/Dockerfile", "arguments": {}}


def test_without_the_location_that_serves_features_there_is_no_feature_server(copy: Project) -> None:
    assert _values(copy)["featureServer"] == {
        "image": {"registry": "docker.io", "repository": "terrane/features", "tag": "dev"}
    }
    shutil.rmtree(copy.location_folder("features"))
    write(copy)
    assert _values(copy)["featureServer"] == {"enabled": False}
    assert "featureServer" not in (copy.root / "skaffold.yaml").read_text()


def test_with_no_location_at_all_the_files_are_still_files(copy: Project) -> None:
    for name in copy.locations:
        shutil.rmtree(copy.location_folder(name))
    write(copy)
    assert _values(copy)["dagster"]["dagster-user-deployments"] == {"deployments": []}
    skaffold = yaml.safe_load((copy.root / "skaffold.yaml").read_text())
    assert {a["image"] for a in skaffold["build"]["artifacts"]} == {f"terrane/{i.name}" for i in images(copy)}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("kind: nothing\n", "code_locations/maps/location.yaml:1: kind"),
        ("needs: [", "code_locations/maps/location.yaml:"),
    ],
)
def test_a_location_that_is_wrong_takes_no_other_from_the_platform(copy: Project, text: str, reason: str) -> None:
    before = _contents(copy)
    _add(copy, text)
    with pytest.raises(LocationError, match=reason):
        write(copy)
    assert _contents(copy) == before


def test_a_folder_that_is_no_project_yet_is_told(copy: Project) -> None:
    _add(copy)
    (copy.location_folder("maps") / "pyproject.toml").unlink()
    with pytest.raises(LocationError, match="code_locations/maps/pyproject.toml is missing"):
        write(copy)


def test_more_folders_than_the_shared_dockerfile_takes_are_refused(copy: Project) -> None:
    names = [f"beside{number}" for number in range(4)]
    for name in names:
        (copy.root / name).mkdir()
    _add(copy, "kind: spatial\nfolders:\n" + "".join(f"  {name}: ['*']\n" for name in names))
    with pytest.raises(LocationError, match="would hold 5 folders beside it, and .* takes 4"):
        write(copy)


def test_marks_that_were_taken_out_are_missed(copy: Project) -> None:
    file = copy.root / "skaffold.yaml"
    file.write_text(file.read_text().replace("# Locations, volumes: written", "# Volumes: written"))
    with pytest.raises(LocationError, match="skaffold.yaml has no marks for volumes"):
        write(copy)


def _values(project: Project) -> dict[str, Any]:
    return yaml.safe_load((project.root / "charts/platform/values/locations.yaml").read_text())
