"""What is written from the charts' values is as the values are: READMEs, and what the schemas share."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from terrane_cli.charts.documentation import Value, readmes, values
from terrane_cli.charts.shared_schema import POD, SHARED, schemas
from terrane_cli.project import Project

pytestmark = pytest.mark.unit

CHARTS = ("minio", "platform", "postgres", "redis")
SAMPLE = """\
# The chart's own.

one:
  # Said above,
  # on two lines.
  a: 1
  b: "two" # said behind
  c: {x: 1}

  d: &anchor [1, 2]
  e: *anchor
# Of a section.
two:
  inner: {long: aaaaaaaaaaaaaaaaaaaaaaaaa, longer: bbbbbbbbbbbbbbbbbbbbbbbbbbbbb, list: [1]}
  items:
    - x: 1
dagster:
  silent: 1
  # Why.
  told: 2
"""


def test_values_are_told_with_their_comments() -> None:
    assert values(SAMPLE) == [
        Value("one.a", "1", "Said above, on two lines."),
        Value("one.b", '"two"', "said behind"),
        Value("one.c", "{x: 1}", ""),
        Value("one.d", "[1, 2]", ""),
        Value("one.e", "", ""),
        Value("two", "", "Of a section."),
        Value("two.inner.long", "aaaaaaaaaaaaaaaaaaaaaaaaa", ""),
        Value("two.inner.longer", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbb", ""),
        Value("two.inner.list", "[1]", ""),
        Value("two.items", "...", ""),
        Value("dagster.told", "2", "Why."),
    ]


@pytest.mark.parametrize("name", CHARTS)
def test_the_readme_is_what_the_values_say(name: str, project: Project) -> None:
    written = readmes(project)
    assert {file.parent.name for file in written} == set(CHARTS)
    file = project.root / f"charts/{name}/README.md"
    assert file.read_text() == written[file], "`make docs` writes it"


@pytest.mark.parametrize("name", CHARTS)
def test_the_schema_has_what_all_share(name: str, project: Project) -> None:
    file = project.root / f"charts/{name}/values.schema.json"
    assert file.read_text() == schemas(project)[file], "`make docs` writes it"


@pytest.mark.parametrize("name", CHARTS)
def test_every_pod_of_the_schema_takes_every_setting(name: str, project: Project) -> None:
    settings = json.loads((project.root / SHARED).read_text())[POD]
    marked = list(_marked(json.loads((project.root / f"charts/{name}/values.schema.json").read_text())))
    assert len(marked) == {"minio": 1, "redis": 1, "postgres": 2}.get(name, len(marked)) >= 1
    assert [node for node in marked if not settings.items() <= node["properties"].items()] == []


@pytest.mark.parametrize("name", CHARTS)
def test_every_value_is_in_the_schema(name: str, project: Project) -> None:
    folder = project.root / "charts" / name
    schema = json.loads((folder / "values.schema.json").read_text())
    given = yaml.safe_load((folder / "values.yaml").read_text())
    # Those of the official chart and of the stores are checked by their own schemas.
    elsewhere = {"dagster", "postgres", "postgis", "redis", "minio"} if name == "platform" else set()
    assert list(_unknown({k: v for k, v in given.items() if k not in elsewhere}, schema, schema["definitions"])) == []


def test_the_settings_of_a_pod_are_those_that_the_helper_reads(project: Project) -> None:
    settings = set(json.loads((project.root / SHARED).read_text())[POD])
    helper = (project.root / "charts/common/templates/_pod.tpl").read_text()
    listed = re.search(r"of its chart or section:\n\n(.*?)\n\n", helper, re.DOTALL)
    assert listed
    assert set(re.findall(r"\w+", listed[1])) == settings
    body = helper.split('define "common.settings"')[1].split("{{- end -}}\n\n{{/*")[0]
    assert set(re.findall(r"\w+", body)) >= settings


def _marked(node: object) -> list[dict]:
    if isinstance(node, list):
        return [found for n in node for found in _marked(n)]
    if not isinstance(node, dict):
        return []
    own = [node] if node.get("$comment") == POD else []
    return own + [found for value in node.values() for found in _marked(value)]


def _unknown(given: object, schema: dict, definitions: dict, path: str = "") -> list[str]:
    """The paths of values that the schema has no property for."""
    schema = definitions[schema["$ref"].removeprefix("#/definitions/")] if "$ref" in schema else schema
    if not isinstance(given, dict) or schema.get("properties") is None:
        return []
    found = []
    for key, value in given.items():
        inner = schema["properties"].get(key)
        found += [f"{path}{key}"] if inner is None else _unknown(value, inner, definitions, f"{path}{key}.")
    return found
