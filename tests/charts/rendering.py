"""Rendering the charts with helm, and what of a render the tests ask for."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from terrane_cli.cluster.cli import KUBERNETES
from terrane_cli.cluster.commands import run

Object = dict[str, Any]
WORKLOADS = {"Deployment", "StatefulSet", "Job"}
HERE = Path(__file__).parent
# Each profile's values, over the chart's own. A path that starts with a dot is beside this file.
PROFILES = {
    "default": ["values/locations.yaml"],
    "kind": ["values/locations.yaml", "values/kind.yaml"],
    "celery": ["values/locations.yaml", "values/kind.yaml", "values/celery.yaml"],
    "production": ["values/locations.yaml", "values/production.yaml", "./filled.yaml"],
}


@dataclass(frozen=True)
class Render:
    """The objects that `helm template` gives."""

    objects: list[Object]

    def of(self, *kinds: str) -> list[Object]:
        return [o for o in self.objects if o["kind"] in kinds]

    def get(self, kind: str, name: str) -> Object:
        found = [o for o in self.of(kind) if o["metadata"]["name"] == name]
        assert len(found) == 1, f"{len(found)} objects are {kind} {name}; there are {sorted(self.names(kind))}"
        return found[0]

    def names(self, kind: str) -> set[str]:
        return {o["metadata"]["name"] for o in self.of(kind)}

    def pods(self) -> Iterator[tuple[str, Object]]:
        """Each workload's pod, under `<kind>/<name>`."""
        for o in self.of(*WORKLOADS):
            yield f"{o['kind']}/{o['metadata']['name']}", o["spec"]["template"]["spec"]

    def containers(self) -> Iterator[tuple[str, Object]]:
        """Each container, under `<kind>/<name>/<container>`."""
        for owner, pod in self.pods():
            for container in [*pod.get("initContainers", []), *pod["containers"]]:
                yield f"{owner}/{container['name']}", container

    def refused(self) -> dict[str, str]:
        """What Kubernetes would not take: the reason, by object."""
        found = {}
        for o in self.objects:
            try:
                kubernetes_validate.validate(_without_nulls(o), KUBERNETES, strict=True)
            except kubernetes_validate.ValidationError as problem:
                found[f"{o['kind']}/{o['metadata']['name']}"] = problem.message
        return found

    def unconfined(self) -> list[str]:
        """The containers that may run as root, gain rights, or write outside their volumes."""
        confined = {
            f"{owner}/{container['name']}"
            for owner, pod in self.pods()
            for container in [*pod.get("initContainers", []), *pod["containers"]]
            if _is_confined(pod.get("securityContext") or {}, container.get("securityContext") or {})
        }
        return [name for name, _ in self.containers() if name not in confined]

    def unlimited(self) -> list[str]:
        """The containers that do not say what they need, or where memory ends."""
        return [name for name, container in self.containers() if not _is_limited(container.get("resources") or {})]

    def location(self, name: str) -> Object:
        """The code server's Deployment."""
        return self.get("Deployment", f"terrane-dagster-user-deployments-{name}")

    def instance(self) -> str:
        """The text of dagster.yaml."""
        return self.get("ConfigMap", "terrane-dagster-instance")["data"]["dagster.yaml"]

    def secrets(self) -> dict[str, dict[str, str]]:
        """What every Secret holds, in the clear, by name."""
        return {
            o["metadata"]["name"]: {k: base64.b64decode(v).decode() for k, v in o["data"].items()}
            for o in self.of("Secret")
        }

    def container_context(self, name: str) -> Object:
        """What a location's code server gives its runs."""
        environment = {e["name"]: e for e in self.location(name)["spec"]["template"]["spec"]["containers"][0]["env"]}
        return json.loads(environment["DAGSTER_CONTAINER_CONTEXT"]["value"])


def render(charts: Path, profile: str, *settings: str, release: str = "terrane") -> Render:
    """The umbrella with a profile's values and `--set` settings. Raises ClusterError with helm's words."""
    chart = charts / "platform"
    values = [HERE / file if file.startswith(".") else chart / file for file in PROFILES[profile]]
    return template(release, chart, values, settings)


def template(release: str, chart: Path, values: list[Path], settings: tuple[str, ...] = ()) -> Render:
    command = ["helm", "template", release, str(chart), "--namespace", "terrane", "--kube-version", KUBERNETES]
    command += [word for file in values for word in ("--values", str(file))]
    command += [word for setting in settings for word in ("--set", setting)]
    return Render([o for o in yaml.safe_load_all(run(command)) if o])


def _is_confined(pod: Object, container: Object) -> bool:
    return bool(
        pod.get("runAsNonRoot")
        and pod.get("runAsUser")
        and pod.get("seccompProfile")
        and container.get("readOnlyRootFilesystem")
        and container.get("allowPrivilegeEscalation") is False
        and container.get("capabilities") == {"drop": ["ALL"]}
    )


def _is_limited(resources: Object) -> bool:
    return {*resources.get("requests", {})} >= {"cpu", "memory"} and "memory" in resources.get("limits", {})


def _without_nulls(value: Any) -> Any:
    """A null in a manifest is a field that is not there, to the API and not to its schemas."""
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value
