"""Reading location.yaml, and saying what is wrong with one by file, line and reason."""

from __future__ import annotations

import pytest

from terrane_cli.locations.description import Kind, LocationError, Need, check_name, read_location, read_locations
from terrane_cli.project import Project

pytestmark = pytest.mark.unit


def _describe(project: Project, text: str, name: str = "soils") -> None:
    (project.location_folder(name) / "location.yaml").write_text(text)


def test_a_location_says_what_it_needs_and_what_it_does_not_say_has_a_default(project: Project) -> None:
    _describe(project, "kind: dbt\nneeds: [warehouse, lake]\nresources: {limits: {memory: 4Gi}}\n")
    soils = read_location(project, "soils")
    assert (soils.kind, soils.needs) == (Kind.DBT, (Need.WAREHOUSE, Need.LAKE))
    assert (soils.resources.requests.memory, soils.resources.limits.memory) == ("384Mi", "4Gi")
    assert (soils.folders, soils.system_packages, soils.feature_server) == ({}, (), False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("kind: plain\n\nneeds: [lake, oracle]\n", "location.yaml:3: needs.1: Input should be 'warehouse'"),
        ("kind: geo\n", "location.yaml:1: kind: Input should be 'plain', 'dbt', 'spatial' or 'features'"),
        ("needs: [lake]\n", "location.yaml:1: kind: Field required"),
        ("kind: plain\nport: 4000\n", "location.yaml:2: port: Extra inputs are not permitted"),
        ("kind: plain\nneeds: [lake, lake]\n", "location.yaml:2: needs: Value error, lake is named twice"),
        ("kind: plain\nresources:\n  limits: {memory: 2}\n", "location.yaml:3: resources.limits.memory"),
        ("kind: plain\nsystem_packages: [a; rm]\n", "location.yaml:2: system_packages: Value error, a; rm is no name"),
        ("kind: plain\nfolders: {../x: ['*']}\n", "location.yaml:2: folders: Value error, ../x is no folder below"),
        ("kind: plain\nfolders:\n  maps: ['*']\n", "location.yaml:3: there is no maps in the checkout"),
        ("kind: plain\nneeds: [lake\n", "location.yaml:3: expected ',' or ']'"),
        (
            "kind: plain\nvariables: {maps: {meaning: m, value: v}}\n",
            "location.yaml:2: variables: Value error, maps is",
        ),
        (
            "kind: plain\nvariables: {API_KEY: {meaning: m, secret: true}}\n",
            "location.yaml:2: variables: Value error, API",
        ),
        ("kind: plain\nvariables:\n  A: {meaning: m}\n", "location.yaml:3: variables.A: Value error, it has either"),
        ("- plain\n", "location.yaml:1: it is no mapping"),
        ("", "location.yaml:1: it is no mapping"),
    ],
)
def test_what_is_wrong_is_said_with_file_line_and_reason(project: Project, text: str, reason: str) -> None:
    _describe(project, text)
    with pytest.raises(LocationError) as refused:
        read_location(project, "soils")
    assert str(refused.value).startswith(f"code_locations/soils/{reason}")


def test_a_location_that_says_nothing_is_told_apart_from_the_others(project: Project) -> None:
    _describe(project, "kind: plain\n", "hydrology")
    found, wrong = read_locations(project)
    assert list(found) == ["hydrology"]
    assert wrong == ["code_locations/soils/location.yaml is missing: it says what the platform must know of soils"]


def test_one_location_alone_is_the_feature_server(project: Project) -> None:
    for name in project.locations:
        _describe(project, "kind: features\nfeature_server: true\n", name)
    assert read_locations(project)[1] == ["one location alone can say feature_server: hydrology, soils do"]


@pytest.mark.parametrize(
    "name", ["Maps", "my-maps", "my_maps", "1maps", "", "m" * 32, "json", "class", "dagster", "terranex"]
)
def test_a_name_that_python_or_kubernetes_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(LocationError, match="a location"):
        check_name(name)


def test_an_ordinary_name_is_taken() -> None:
    check_name("maps2")
