"""The official Dagster chart knows every value that we give it, and checks it without a network."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.charts.conftest import Rendering
from tests.charts.rendering import PROFILES, profile_values

from terrane_cli.charts.dependencies import dagster_version
from terrane_cli.commands import CliError
from terrane_cli.project import Project

pytestmark = pytest.mark.unit

FIRST = "dagster.dagster-user-deployments.deployments[0]"
# Read by the templates, and in no schema and no values of the chart.
ONLY_IN_TEMPLATES = {"service"}
# What releases before the newest do not read of a location, and what they lack by which they are known.
NEW, NEWEST = {"replicaCount"}, "--fixed-server-id"


@pytest.fixture(scope="session")
def schemas(charts: Path) -> dict[str, dict[str, Any]]:
    """The chart's own schemas as they are installed, by the name of the chart that they are for."""
    (packed,) = (charts / "platform/charts").glob("dagster-*.tgz")
    found = {}
    with tarfile.open(packed) as files:
        for name in files.getnames():
            if name.endswith("values.schema.json") and (file := files.extractfile(name)):
                found[Path(name).parent.name] = json.loads(file.read())
    return found


@pytest.mark.parametrize("profile", PROFILES)
def test_the_chart_knows_every_key_of_our_values(
    profile: str, schemas: dict[str, dict[str, Any]], official_folder: Path, charts: Path
) -> None:
    files = [charts / "platform/values.yaml", *profile_values(charts, profile)]
    given = [yaml.safe_load(file.read_text()).get("dagster", {}) for file in files]
    defaults = yaml.safe_load((official_folder / "values.yaml").read_text())
    templates = "\n".join(file.read_text() for file in (official_folder / "templates").rglob("*.*"))
    checked = Keys(schemas["dagster"], templates)
    unknown = [path for values in given for path in checked.unknown(values, schemas["dagster"], defaults)]
    assert unknown == []
    # The chart's schema lets any other key of a location pass.
    misspelt = {"dagster-user-deployments": {"deployments": [{"name": "a", "envSecret": [], "image": {"tags": "b"}}]}}
    assert checked.unknown(misspelt, schemas["dagster"], defaults) == [
        "dagster-user-deployments.deployments.envSecret",
        "dagster-user-deployments.deployments.image.tags",
    ]


def test_our_schema_allows_of_a_location_what_the_chart_reads_and_no_more(
    schemas: dict[str, dict[str, Any]], official_folder: Path, charts: Path
) -> None:
    own = json.loads((charts / "platform/values.schema.json").read_text())["definitions"]["location"]["properties"]
    described = schemas["dagster-user-deployments"]["$defs"]["UserDeployment"]["properties"]
    folder = official_folder / "charts/dagster-user-deployments/templates"
    templates = "\n".join(file.read_text() for file in folder.rglob("*") if file.is_file())
    read = {*described, *(name for name in ONLY_IN_TEMPLATES if f"$deployment.{name}" in templates)}
    assert own.keys() - read == (set() if NEWEST in templates else NEW)
    assert read - own.keys() == set()


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        (f"{FIRST}.readinessProbe.periodSeconds=often", "readinessProbe/periodSeconds"),
        ("dagster.dagsterDaemon.runMonitorings.enabled=true", "additional properties 'runMonitorings'"),
        ("dagster.dagsterWebserver.resources.requests=much", "dagsterWebserver/resources"),
    ],
)
def test_the_charts_own_schema_is_on(setting: str, told: str, rendered: Rendering) -> None:
    with pytest.raises(CliError) as refused:
        rendered("kind", setting)
    assert "dagster:\n" in str(refused.value)
    assert told in str(refused.value)


def test_no_schema_looks_anything_up_in_a_network(schemas: dict[str, dict[str, Any]]) -> None:
    assert {"dagster", "dagster-user-deployments"} <= schemas.keys()
    assert [name for name, schema in schemas.items() if re.search(r'"\$ref": "https?:', json.dumps(schema))] == []


def test_the_chart_is_of_the_version_of_dagster_that_every_image_installs(
    official_folder: Path, project: Project
) -> None:
    version = dagster_version(project)
    chart = yaml.safe_load((official_folder / "Chart.yaml").read_text())
    locations = yaml.safe_load((official_folder / "charts/dagster-user-deployments/Chart.yaml").read_text())
    assert {chart["version"], locations["version"]} == {version}
    for folder in project.environments():
        for lock in ("requirements.lock", "requirements-dev.lock"):
            assert f"\ndagster=={version} " in "\n" + (folder / lock).read_text(), folder / lock


def test_images_install_dagster_from_a_lock_and_from_nowhere_else(project: Project) -> None:
    files = {file.parent.name: file.read_text() for file in (project.root / "images").glob("*/Dockerfile")}
    with_python = {name: text for name, text in files.items() if "uv pip install" in text}
    assert "dagster" in with_python
    for name, text in with_python.items():
        assert re.search(r"^COPY \S*requirements\.lock \./$", text, re.MULTILINE), name
        installs = [re.split(r"&&|\\\n", part)[0] for part in text.split("pip install")[1:]]
        assert [i for i in installs if "requirements.lock" not in i and "--offline" not in i] == [], name
        assert re.search(r"\bdagster(-\w+)*==", text) is None, name


class Keys:
    """What a schema knows by name, below references and alternatives.

    Of a map that it leaves open a key is known when the chart's own values have it, or a template reads it.
    """

    def __init__(self, root: dict[str, Any], templates: str) -> None:
        self._root = root
        self._read = set(re.findall(r"\.(\w+)", templates))

    def unknown(self, value: Any, schema: dict[str, Any], default: Any, path: str = "") -> list[str]:
        """The paths of the keys of a value that are not known."""
        parts = list(self._parts(schema))
        if isinstance(value, list):
            items = [p["items"] for p in parts if isinstance(p.get("items"), dict)]
            return sorted({key for v in value for key in self.unknown(v, {"anyOf": items}, None, path)})
        if not isinstance(value, dict):
            return []
        own = default if isinstance(default, dict) else {}
        named = {name for p in parts for name in p.get("properties", {})}
        known = named | own.keys()
        # A map of anything to something, as labels are.
        is_free = not known or any(isinstance(p.get("additionalProperties"), dict) for p in parts)
        found = []
        for key, below in value.items():
            place = f"{path}.{key}".lstrip(".")
            if key in known:
                options = [p["properties"][key] for p in parts if key in p.get("properties", {})]
                found += self.unknown(below, {"anyOf": options}, own.get(key), place)
            elif not is_free and (named or key not in self._read):
                found.append(place)
        return found

    def _parts(self, schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield schema
        if reference := schema.get("$ref"):
            node: Any = self._root
            for step in reference.removeprefix("#/").split("/"):
                node = node[step]
            yield from self._parts(node)
        for word in ("anyOf", "oneOf", "allOf"):
            for option in schema.get(word, []):
                yield from self._parts(option)
