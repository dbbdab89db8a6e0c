"""The official chart is the one that is named or kept, and its schema needs no network."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from terrane_cli.charts.dependencies import dagster_version, official_chart
from terrane_cli.charts.kubernetes_schema import embed
from terrane_cli.commands import CliError
from terrane_cli.project import Project

pytestmark = pytest.mark.unit

REMOTE = "https://raw.example.com/v1.19.0/_definitions.json#/definitions/"


def _packed(folder: Path, *, schema: dict[str, Any], name: str = "dagster", version: str = "1.2.3") -> Path:
    """A chart with this schema."""
    files = {"Chart.yaml": yaml.safe_dump({"name": name, "version": version}), "values.schema.json": json.dumps(schema)}
    path = folder / "chart.tgz"
    with tarfile.open(path, "w:gz") as packed:
        for file, text in files.items():
            member = tarfile.TarInfo(f"dagster/{file}")
            member.size = len(text)
            packed.addfile(member, io.BytesIO(text.encode()))
    return path


def _schema(packed: Path) -> dict[str, Any]:
    with tarfile.open(packed) as files:
        file = files.extractfile("dagster/values.schema.json")
        assert file
        return json.loads(file.read())


def test_remote_references_are_embedded_with_all_that_they_need(tmp_path: Path) -> None:
    schema = {
        "$defs": {"Own": {"type": "string"}},
        "properties": {
            "probe": {"$ref": f"{REMOTE}io.k8s.api.core.v1.Probe"},
            "selector": {"$ref": f"{REMOTE}io.k8s.api.core.v1.PodSpec/properties/nodeSelector"},
            "own": {"$ref": "#/$defs/Own"},
        },
    }
    count = embed(_packed(tmp_path, schema=schema), tmp_path / "out.tgz", Project.here(), tmp_path / "cache")
    found = _schema(tmp_path / "out.tgz")
    assert count == 2
    assert "https://" not in json.dumps(found["properties"])
    assert found["properties"]["own"] == {"$ref": "#/$defs/Own"}
    kubernetes = found["$defs"]["kubernetes"]
    assert found["properties"]["probe"]["$ref"] == "#/$defs/kubernetes/io.k8s.api.core.v1.Probe"
    assert found["properties"]["selector"]["$ref"].endswith("PodSpec/properties/nodeSelector")
    assert kubernetes["io.k8s.api.core.v1.PodSpec"]["properties"]["nodeSelector"]
    # A probe's own references are there as well.
    assert "io.k8s.api.core.v1.ExecAction" in kubernetes
    assert found["$defs"]["Own"] == {"type": "string"}


def test_the_same_chart_gives_the_same_bytes(tmp_path: Path) -> None:
    packed = _packed(tmp_path, schema={"$ref": f"{REMOTE}io.k8s.api.core.v1.Probe"})
    for name in ("first", "second"):
        embed(packed, tmp_path / name, Project.here(), tmp_path / "cache")
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


@pytest.mark.parametrize("reference", [f"{REMOTE}io.k8s.api.core.v1.Prob", "https://example.com/schema.json"])
def test_a_reference_that_nothing_stands_in_for_is_named(reference: str, tmp_path: Path) -> None:
    packed = _packed(tmp_path, schema={"$ref": reference})
    with pytest.raises(CliError, match=f"the chart's schema refers to {reference}, for which"):
        embed(packed, tmp_path / "out.tgz", Project.here(), tmp_path / "cache")


def test_the_chart_that_is_named_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = _packed(tmp_path, version=dagster_version(Project.here()), schema={})
    monkeypatch.setenv("TERRANE_DAGSTER_CHART", str(packed))
    assert official_chart(Project.here()) == packed


def test_another_chart_or_version_is_refused_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERRANE_DAGSTER_CHART", str(_packed(tmp_path, name="airflow", schema={})))
    with pytest.raises(CliError, match="is airflow 1.2.3, and not dagster"):
        official_chart(Project.here())
    monkeypatch.setenv("TERRANE_DAGSTER_CHART", str(_packed(tmp_path, schema={})))
    with pytest.raises(CliError, match="is dagster 1.2.3, and not dagster"):
        official_chart(Project.here())
    monkeypatch.setenv("TERRANE_DAGSTER_CHART", str(tmp_path / "none.tgz"))
    with pytest.raises(CliError, match="is no packed chart of Dagster"):
        official_chart(Project.here())
