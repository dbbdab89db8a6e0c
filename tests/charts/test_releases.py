"""Locations as releases of their own, one or several, beside a platform that deploys the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.charts.conftest import Rendering
from tests.charts.rendering import Command, Render, profile_values, template

from terrane_cli.charts.releases import location_values, platform_values
from terrane_cli.commands import CliError
from terrane_cli.project import Project

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module", params=Project.here().locations)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def own(name: str, project: Project, location_chart: Path, tmp_path_factory: pytest.TempPathFactory) -> Render:
    """The release of the one location."""
    file = _written(location_values(project, name), tmp_path_factory)
    return template(Command(location_chart, (file,), release=name))


@pytest.fixture(scope="module")
def platform(name: str, project: Project, charts: Path, tmp_path_factory: pytest.TempPathFactory) -> Render:
    """The platform's release beside it."""
    beside = _written(platform_values(project, [name]), tmp_path_factory)
    return template(Command(charts / "platform", (*profile_values(charts, "kind"), beside)))


def test_each_location_is_deployed_once(name: str, own: Render, platform: Render, project: Project) -> None:
    assert _locations(own) == [name]
    assert _locations(platform) == sorted(set(project.locations) - {name})


def test_the_two_releases_have_no_object_in_common(own: Render, platform: Render) -> None:
    first, second = ({(o["kind"], o["metadata"]["name"]) for o in r.objects} for r in (own, platform))
    assert first & second == set()


def test_the_ui_looks_for_all_of_them(own: Render, platform: Render, project: Project) -> None:
    text = platform.get("ConfigMap", "terrane-dagster-workspace-yaml")["data"]["workspace.yaml"]
    servers = [entry["grpc_server"] for entry in yaml.safe_load(text)["load_from"]]
    assert sorted(s["location_name"] for s in servers) == project.locations
    answering = {
        (o["metadata"]["name"], o["spec"]["ports"][0]["port"]) for r in (own, platform) for o in r.of("Service")
    }
    assert {(s["host"], s["port"]) for s in servers} <= answering


def test_it_is_as_it_was_within_the_platform(name: str, own: Render, rendered: Rendering) -> None:
    (server,) = own.of("Deployment")
    within = rendered("kind").location(name)
    alone, together = (_comparable(d["spec"]["template"]["spec"]["containers"][0]) for d in (server, within))
    assert alone == together


def test_its_runs_find_what_they_need_in_the_namespace(name: str, own: Render, platform: Render) -> None:
    container = own.of("Deployment")[0]["spec"]["template"]["spec"]["containers"][0]
    context = json.loads(next(v["value"] for v in container["env"] if v["name"] == "DAGSTER_CONTAINER_CONTEXT"))["k8s"]
    assert context["namespace"] == "terrane"
    assert context["service_account_name"] in own.names("ServiceAccount")
    there = own.names("ConfigMap") | platform.names("ConfigMap")
    assert set(context["env_config_maps"]) <= there
    secrets = {v["valueFrom"]["secretKeyRef"]["name"] for v in context["env"]}
    assert secrets <= platform.names("Secret")


@pytest.mark.parametrize("count", range(2, len(Project.here().locations) + 1))
def test_any_number_of_them_is_each_a_release_of_its_own(
    count: int, project: Project, location_chart: Path, charts: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = project.locations[-count:]
    beside = _written(platform_values(project, names), tmp_path_factory)
    platform = template(Command(charts / "platform", (*profile_values(charts, "kind"), beside)))
    alone = [
        template(Command(location_chart, (_written(location_values(project, name), tmp_path_factory),), release=name))
        for name in names
    ]
    assert [_locations(render) for render in alone] == [[name] for name in names]
    assert _locations(platform) == sorted(set(project.locations) - set(names))
    objects = [(o["kind"], o["metadata"]["name"]) for render in (platform, *alone) for o in render.objects]
    assert len(objects) == len(set(objects))
    text = platform.get("ConfigMap", "terrane-dagster-workspace-yaml")["data"]["workspace.yaml"]
    hosts = {entry["grpc_server"]["host"] for entry in yaml.safe_load(text)["load_from"]}
    assert hosts == set(project.locations)
    services = {o["metadata"]["name"] for render in (platform, *alone) for o in render.of("Service")}
    assert hosts <= services


def test_a_location_that_is_none_is_named(project: Project) -> None:
    with pytest.raises(CliError, match="has no location unknown; it has " + ", ".join(project.locations)):
        location_values(project, "unknown")


def _written(values: dict[str, Any], folders: pytest.TempPathFactory) -> Path:
    file = folders.mktemp("values") / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def _locations(render: Render) -> list[str]:
    labels = [o["metadata"]["labels"] for o in render.of("Deployment")]
    return sorted(found["deployment"] for found in labels if found.get("component") == "user-deployments")


def _comparable(container: dict[str, Any]) -> dict[str, Any]:
    """A code server without the names that hold its release's."""
    context = json.loads(next(v["value"] for v in container["env"] if v["name"] == "DAGSTER_CONTAINER_CONTEXT"))["k8s"]
    context.pop("service_account_name")
    context["env_config_maps"] = [n for n in context["env_config_maps"] if not n.endswith("-user-env")]
    environment = [v for v in container["env"] if v["name"] != "DAGSTER_CONTAINER_CONTEXT"]
    sources = [s for s in container["envFrom"] if not s.get("configMapRef", {}).get("name", "").endswith("-env")]
    return {**container, "env": environment, "envFrom": sources, "context": context}
