"""Every pod of ours takes the same settings, in its own section of the values and for all of them at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.charts.rendering import Command, Object, Render, profile_values, template

pytestmark = pytest.mark.unit
ABOUT_OUR_CHARTS_ALONE = True

# The section of the values that holds a pod's settings, by the start of the name of what makes the pod.
SECTIONS = {
    "Deployment/terrane-feature-server": "featureServer",
    "Deployment/terrane-source": "source.sample",
    "Job/terrane-buckets": "hooks.buckets",
    "Job/terrane-sources": "hooks.sources",
    "Pod/terrane-test": "hooks.tests",
    "StatefulSet/terrane-postgres": "postgres",
    "StatefulSet/terrane-postgis": "postgis",
    "StatefulSet/terrane-redis": "redis",
    "StatefulSet/terrane-broker": "broker",
    "StatefulSet/terrane-minio": "minio",
    "Job/terrane-postgres": "postgres.provisioning",
    "Job/terrane-postgis": "postgis.provisioning",
}
# Where a pod has its image from; hooks and tests share one.
IMAGES = {
    "featureServer": "featureServer",
    "source.sample": "source.sample",
    "postgres": "postgres",
    "postgres.pooler": "postgres.pooler",
    "postgis": "postgis",
    "redis": "redis",
    "broker": "broker",
    "minio": "minio",
}
DIGEST = f"sha256:{'0123456789abcdef' * 4}"
SOURCES = [{"location": "analytics", "image": "terrane/analytics:dev", "folder": "dev"}]


def settings_of(mark: str) -> dict[str, Any]:
    """Each setting of a pod, with a mark in it."""
    return {
        "imagePullSecrets": [{"name": f"{mark}-registry"}],
        "serviceAccountName": f"{mark}-account",
        "priorityClassName": f"{mark}-priority",
        "nodeSelector": {"pool": mark, mark: "here"},
        "tolerations": [{"key": mark, "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [_term(mark)]}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": f"{mark}/zone", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
        "podAnnotations": {"example.com/owner": mark, f"example.com/{mark}": "here"},
        "podLabels": {"example.com/owner": mark},
        "podSecurityContext": {"supplementalGroups": [4000]},
        "securityContext": {"procMount": "Default"},
        "resources": {"requests": {"cpu": "77m", "memory": "77Mi"}, "limits": {"memory": "777Mi"}},
        "extraEnv": [{"name": "MARK", "value": mark}],
        "extraVolumes": [{"name": mark, "emptyDir": {}}],
        "extraVolumeMounts": [{"name": mark, "mountPath": f"/{mark}"}],
    }


def _term(mark: str) -> dict[str, Any]:
    selector = {"matchLabels": {"app.kubernetes.io/name": mark}}
    return {"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": selector}}


def mark_of(section: str) -> str:
    return section.replace(".", "-").lower()


def ours(render: Render) -> Iterator[tuple[str, Object, Object]]:
    """The name, metadata and specification of each pod of our charts."""
    for o in render.of("Deployment", "StatefulSet", "Job", "Pod"):
        if not o["metadata"]["labels"]["helm.sh/chart"].startswith("dagster"):
            template_of = o if o["kind"] == "Pod" else o["spec"]["template"]
            yield f"{o['kind']}/{o['metadata']['name']}", template_of["metadata"], template_of["spec"]


def section_of(name: str) -> str:
    (longest, *_) = sorted((s for s in SECTIONS if name.startswith(s)), key=len, reverse=True) or [""]
    assert longest, f"{name} has no section in the values"
    return SECTIONS[longest]


def nested(path: str, value: Any) -> dict[str, Any]:
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def joined(*layers: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = joined(result[key], value) if both else value
    return result


def rendered_with(charts: Path, folder: Path, *layers: dict[str, Any]) -> Render:
    """The profile of kind, with every pod there can be, and with values."""
    file = folder / "values.yaml"
    every_pod = {"development": {"sharedSource": SOURCES}, "broker": {"enabled": True}}
    file.write_text(yaml.safe_dump(joined(every_pod, *layers)))
    render = template(Command(charts / "platform", (*profile_values(charts, "kind"), file)))
    # One for each section at least: what is asked of all pods is asked of every kind of them.
    assert {section_of(name) for name, _, _ in ours(render)} == set(SECTIONS.values())
    return render


def wanting(metadata: Object, pod: Object, mark: str) -> list[str]:
    """The settings that a pod lacks."""
    given = settings_of(mark)
    main = pod["containers"]
    everything = [*pod.get("initContainers", []), *main]
    as_given = ("imagePullSecrets", "serviceAccountName", "priorityClassName", "tolerations", "affinity")
    checks = {key: pod.get(key) == given[key] for key in (*as_given, "topologySpreadConstraints")}
    checks["nodeSelector"] = given["nodeSelector"].items() <= pod.get("nodeSelector", {}).items()
    checks["podAnnotations"] = given["podAnnotations"].items() <= metadata.get("annotations", {}).items()
    checks["podLabels"] = given["podLabels"].items() <= metadata["labels"].items()
    checks["podSecurityContext"] = pod["securityContext"].get("supplementalGroups") == [4000]
    checks["securityContext"] = all(c["securityContext"].get("procMount") == "Default" for c in everything)
    # A container beside the main one has resources of its own.
    checks["resources"] = all(c["resources"] == given["resources"] for c in everything if c["name"] != "pooler")
    checks["extraEnv"] = all(given["extraEnv"][0] in c["env"] for c in main)
    checks["extraVolumes"] = given["extraVolumes"][0] in pod["volumes"]
    checks["extraVolumeMounts"] = all(given["extraVolumeMounts"][0] in c["volumeMounts"] for c in main)
    assert checks.keys() == given.keys()
    return [key for key, holds in checks.items() if not holds]


@pytest.fixture(scope="module")
def each(charts: Path, tmp_path_factory: pytest.TempPathFactory) -> Render:
    """Every section with settings of its own."""
    layers = [nested(section, settings_of(mark_of(section))) for section in SECTIONS.values()]
    return rendered_with(charts, tmp_path_factory.mktemp("each"), *layers)


@pytest.fixture(scope="module")
def all_at_once(charts: Path, tmp_path_factory: pytest.TempPathFactory) -> Render:
    """The settings of all pods, without resources, of which each pod has its own."""
    given = {key: value for key, value in settings_of("everybody").items() if key != "resources"}
    return rendered_with(charts, tmp_path_factory.mktemp("all"), nested("global.pod", given))


def test_every_pod_has_the_settings_of_its_section(each: Render) -> None:
    wrong = {
        name: found
        for name, metadata, pod in ours(each)
        if (found := wanting(metadata, pod, mark_of(section_of(name))))
    }
    assert wrong == {}
    assert each.refused() == {}


def test_every_pod_has_the_settings_of_all_pods(all_at_once: Render) -> None:
    found = {name: wanting(metadata, pod, "everybody") for name, metadata, pod in ours(all_at_once)}
    assert {name: lacking for name, lacking in found.items() if lacking != ["resources"]} == {}


def test_a_pods_own_settings_win_and_the_others_stay(charts: Path, tmp_path: Path) -> None:
    own = {"nodeSelector": {"pool": "own"}, "tolerations": [{"key": "own"}], "priorityClassName": "own"}
    both = rendered_with(charts, tmp_path, nested("global.pod", settings_of("everybody")), {"redis": own})
    pods = {name: pod for name, _, pod in ours(both)}
    assert pods["StatefulSet/terrane-redis"]["nodeSelector"] == {"pool": "own", "everybody": "here"}
    assert pods["StatefulSet/terrane-redis"]["tolerations"] == [{"key": "own"}]
    assert pods["StatefulSet/terrane-redis"]["priorityClassName"] == "own"
    assert pods["StatefulSet/terrane-redis"]["serviceAccountName"] == "everybody-account"
    assert pods["StatefulSet/terrane-minio"]["nodeSelector"] == {"pool": "everybody", "everybody": "here"}


def test_what_selectors_go_by_stays_whatever_labels_are_given(charts: Path, tmp_path: Path) -> None:
    taken = {"podLabels": {"app.kubernetes.io/name": "another", "app.kubernetes.io/instance": "another"}}
    render = rendered_with(charts, tmp_path, nested("global.pod", taken))
    for o in render.of("Deployment", "StatefulSet"):
        if not o["metadata"]["labels"]["helm.sh/chart"].startswith("dagster"):
            chosen = o["spec"]["selector"]["matchLabels"].items()
            assert chosen <= o["spec"]["template"]["metadata"]["labels"].items(), o["metadata"]["name"]


def test_a_digest_is_taken_in_place_of_the_tag_by_every_image(charts: Path, tmp_path: Path) -> None:
    layers = [nested(f"{section}.image.digest", DIGEST) for section in IMAGES.values()]
    render = rendered_with(charts, tmp_path, *layers, nested("platformImage.digest", DIGEST))
    images = {
        container["image"]
        for name, _, pod in ours(render)
        if section_of(name) != "hooks.sources"
        for container in [*pod.get("initContainers", []), *pod["containers"]]
    }
    assert len(images) >= 7
    assert [image for image in images if not image.endswith(f"@{DIGEST}")] == []
    assert [image for image in images if image.count(":") != 1] == []


def test_user_ids_can_be_left_to_the_cluster(charts: Path, tmp_path: Path) -> None:
    render = rendered_with(charts, tmp_path, nested("global.arbitraryUserIds", True))
    ids = {"runAsUser", "runAsGroup", "fsGroup"}
    for name, _, pod in ours(render):
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert not ids & pod["securityContext"].keys(), name
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            assert not ids & container["securityContext"].keys(), name
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name


def test_one_value_gives_every_volume_its_storage_class(charts: Path, tmp_path: Path) -> None:
    class_of_one = nested("minio.persistence.storageClassName", "slow")
    render = rendered_with(charts, tmp_path, nested("global.storageClass", "fast"), class_of_one)
    classes = {o["metadata"]["name"]: o["spec"]["storageClassName"] for o in render.of("PersistentVolumeClaim")}
    assert classes == {
        "data-terrane-postgres-0": "fast",
        "data-terrane-postgis-0": "fast",
        "data-terrane-redis-0": "fast",
        "data-terrane-broker-0": "fast",
        "data-terrane-minio-0": "slow",
        "terrane-source-of-analytics": "fast",
    }
    assert all("volumeClaimTemplates" not in o["spec"] for o in render.of("StatefulSet"))
