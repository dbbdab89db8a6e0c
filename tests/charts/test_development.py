"""What skaffold.yaml, the folders of the checkout and the locks say agrees with the charts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.charts.conftest import Rendering
from tests.charts.rendering import CERTIFICATES, Command, Render, template

from terrane_cli.charts.dependencies import dagster_version
from terrane_cli.project import Project

pytestmark = pytest.mark.unit
ABOUT_OUR_CHARTS_ALONE = True

DEPLOYMENTS = "dagster.dagster-user-deployments.deployments"


@pytest.fixture(scope="module")
def skaffold(project: Project) -> dict[str, Any]:
    return yaml.safe_load((project.root / "skaffold.yaml").read_text())


@pytest.fixture(scope="module")
def listed(project: Project) -> list[str]:
    """The locations of values/locations.yaml, in their order."""
    file = project.root / "charts/platform/values/locations.yaml"
    return [d["name"] for d in yaml.safe_load(file.read_text())["dagster"]["dagster-user-deployments"]["deployments"]]


def test_every_location_of_the_checkout_is_deployed(project: Project, listed: list[str]) -> None:
    assert sorted(listed) == project.locations


def test_skaffolds_places_in_the_list_are_those_of_the_names(skaffold: dict[str, Any], listed: list[str]) -> None:
    (release,) = skaffold["deploy"]["helm"]["releases"]
    found = {}
    for key, given in release["setValueTemplates"].items():
        if place := re.fullmatch(rf"{re.escape(DEPLOYMENTS)}\[(\d+)\]\.image\.(repository|tag)", key):
            word = {"repository": "REPO", "tag": "TAG"}[place[2]]
            (name,) = re.findall(rf"\.IMAGE_{word}_terrane_(\w+)", given)
            found[int(place[1]), place[2]] = name
    expected = {(i, part): name for i, name in enumerate(listed) for part in ("repository", "tag")}
    assert found == expected
    places = {int(m) for key in release["setValues"] for m in re.findall(r"deployments\[(\d+)\]", key)}
    assert places == set(range(len(listed)))


def test_skaffold_builds_what_it_deploys_and_leaves_no_image_as_it_was(
    skaffold: dict[str, Any], project: Project, charts: Path
) -> None:
    (release,) = skaffold["deploy"]["helm"]["releases"]
    built = {a["image"]: a["docker"]["dockerfile"] for a in skaffold["build"]["artifacts"]}
    assert all((project.root / dockerfile).is_file() for dockerfile in built.values())

    def filled(text: str) -> str:
        if text.startswith("{{cmd "):
            return "session"
        image = re.search(r"\.IMAGE_(REPO|TAG|FULLY_QUALIFIED)_(\w+)", text)
        assert image, text
        name = image[2].replace("_", "/", 1)
        assert name in built
        return {"REPO": name, "TAG": "just-built", "FULLY_QUALIFIED": f"{name}:just-built"}[image[1]]

    settings = [f"{key}={filled(text)}" for key, text in release["setValueTemplates"].items()]
    settings += [f"{key}={value}" for key, value in _flat(release["setValues"])]
    values = tuple(charts.parent / file for file in release["valuesFiles"])
    deployed = template(Command(charts / "platform", values, tuple(settings), release=release["name"]))
    ours = {c["image"] for _, c in deployed.containers() if "terrane/" in c["image"]}
    assert {image.removeprefix("docker.io/") for image in ours} == {f"{name}:just-built" for name in built}

    for name in project.locations:
        _has_its_files_on_a_volume(deployed, name)


def test_what_is_synced_lands_where_the_image_has_it(skaffold: dict[str, Any], project: Project) -> None:
    for artifact in skaffold["build"]["artifacts"]:
        for rule in artifact.get("sync", {}).get("manual", []):
            folder = project.root / re.split(r"[*?]", rule["src"])[0]
            assert folder.is_dir(), rule["src"]
            assert rule["dest"] == "/opt/terrane"
            copied = _copied(project.root / artifact["docker"]["dockerfile"], artifact["docker"].get("buildArgs", {}))
            relative = str(folder.relative_to(project.root))
            assert any(relative == c or relative.startswith(f"{c}/") for c in copied), rule["src"]


def test_every_dependency_has_the_version_of_its_folder(project: Project) -> None:
    chart = yaml.safe_load((project.root / "charts/platform/Chart.yaml").read_text())
    assert chart["appVersion"] == dagster_version(project)
    for dependency in chart["dependencies"]:
        if dependency["repository"].startswith("file://"):
            own = yaml.safe_load((project.root / f"charts/{dependency['name']}/Chart.yaml").read_text())
            assert dependency["version"] == own["version"], dependency["name"]


def test_locations_answer_where_the_workspace_looks_for_them(rendered: Rendering, listed: list[str]) -> None:
    kind = rendered("kind")
    workspace = yaml.safe_load(kind.get("ConfigMap", "terrane-dagster-workspace-yaml")["data"]["workspace.yaml"])
    servers = [entry["grpc_server"] for entry in workspace["load_from"]]
    assert [s["location_name"] for s in servers] == listed
    for server in servers:
        ports = [p["port"] for p in kind.get("Service", server["host"])["spec"]["ports"]]
        assert ports == [server["port"]]
        name = server["location_name"]
        arguments = kind.location(name)["spec"]["template"]["spec"]["containers"][0]["args"]
        assert arguments[-4:] == ["-m", f"{name}.definitions", "--location-name", name]


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The settings that skaffold makes of nested values."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value).lower() if isinstance(value, bool) else str(value)


def _copied(dockerfile: Path, arguments: dict[str, str]) -> list[str]:
    """What a Dockerfile copies of the checkout, with these arguments in the place of its variables."""
    sources = re.findall(r"^COPY (\S+) \S+$", dockerfile.read_text(), re.M)
    return [re.sub(r"\$\{(\w+)\}", lambda found: arguments.get(found[1], found[0]), source) for source in sources]


def _has_its_files_on_a_volume(deployed: Render, name: str) -> None:
    """Whether code server and runs read the volume that is filled before, beside what they had."""
    pod = deployed.location(name)["spec"]["template"]["spec"]
    filling = deployed.get("Job", "terrane-sources")["spec"]["template"]["spec"]
    (container,) = [c for c in filling["containers"] if c["name"] == name]
    assert container["image"].removeprefix("docker.io/") == pod["containers"][0]["image"].removeprefix("docker.io/")
    folder = {variable["name"]: variable["value"] for variable in container["env"]}["FOLDER"]
    assert folder == pod["containers"][0]["volumeMounts"][-1]["subPath"] == "just-built"
    volumes = {v["name"]: v for v in pod["volumes"]}
    assert set(volumes) == {"tmp", "home", "authorities", "source"}
    claim = volumes["source"]["persistentVolumeClaim"]["claimName"]
    assert claim == {v["name"]: v for v in filling["volumes"]}[name]["persistentVolumeClaim"]["claimName"]
    assert claim in deployed.names("PersistentVolumeClaim")
    runs = deployed.container_context(name)["k8s"]
    for mounts in (pod["containers"][0]["volumeMounts"], runs["volume_mounts"]):
        paths = {m["name"]: m.get("mountPath", m.get("mount_path")) for m in mounts}
        assert paths.pop("authorities") == CERTIFICATES
        assert paths == {"tmp": "/tmp", "home": "/opt/dagster/dagster_home", "source": "/opt/terrane"}
    # A run that had to wait for a container before its own would be half a second later.
    assert "init_containers" not in runs.get("run_k8s_config", {}).get("pod_spec_config", {})
