"""Rendering the charts with helm, and what of a render the tests ask for."""

from __future__ import annotations

import base64
import hashlib
import json
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.charts.mutations.fault import Fault
from tests.charts.schemas import reason_of_refusal

from terrane_cli.cluster.deploying import KUBERNETES
from terrane_cli.commands import CliError, run
from terrane_cli.project import Project

Object = dict[str, Any]
WORKLOADS = {"Deployment", "StatefulSet", "Job"}
HERE = Path(__file__).parent
# Where every pod that talks to a store has the certificates of authorities, and from where.
CERTIFICATES = "/etc/terrane/authorities"
AUTHORITIES: Object = {
    "name": "authorities",
    "projected": {
        "sources": [{kind: {"name": "terrane-authorities", "optional": True}} for kind in ("configMap", "secret")]
    },
}
AUTHORITIES_MOUNT: Object = {"name": "authorities", "mountPath": CERTIFICATES, "readOnly": True}
LOCATIONS = Project.here().locations
# Each profile's values, over the chart's own. A path that starts with a dot is beside this file.
PROFILES = {
    "default": ["values/locations.yaml"],
    "kind": ["values/locations.yaml", "values/kind.yaml"],
    "celery": ["values/locations.yaml", "values/kind.yaml", "values/celery.yaml"],
    "production": ["values/locations.yaml", "values/production.yaml", "./filled.yaml"],
}
# On the stores of another release; what is in it is in test_environments.
SHARING = {"staging": ["values/locations.yaml", "values/staging.yaml"]}
# And what it wants to be set: Helm replaces a list as a whole, so a tag in one goes by its place.
TAGS = tuple(f"dagster.dagster-user-deployments.deployments[{place}].image.tag=v1" for place in range(len(LOCATIONS)))
SETTINGS = {"production": TAGS}


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
        reasons = {f"{o['kind']}/{o['metadata']['name']}": reason_of_refusal(o) for o in self.objects}
        return {name: reason for name, reason in reasons.items() if reason}

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

    def configuration(self) -> Object:
        """What dagster.yaml says, read by libyaml: ten times as fast, in a hundred tests."""
        return yaml.load(self.instance(), Loader=yaml.CSafeLoader)

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


@dataclass(frozen=True)
class Command:
    """What `helm template` is asked for: a chart with values files and `--set` settings."""

    chart: Path
    values: tuple[Path, ...] = ()
    settings: tuple[str, ...] = ()
    release: str = "terrane"
    namespace: str = "terrane"
    upgrade: bool = False
    # Which of several renders of the same: the tests of generated passwords want more than one.
    turn: int = 1

    def words(self) -> list[str]:
        words = ["helm", "template", self.release, str(self.chart), "--namespace", self.namespace]
        words += ["--kube-version", KUBERNETES, *(["--is-upgrade"] if self.upgrade else [])]
        words += [word for file in self.values for word in ("--values", str(file))]
        return words + [word for setting in self.settings for word in ("--set", setting)]

    def key(self) -> tuple[object, ...]:
        """The same for the same content, in whichever folder it is."""
        values = tuple(hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else file for file in self.values)
        return (_digest(self.chart), values, self.settings, self.release, self.namespace, self.upgrade, self.turn)


def template(command: Command) -> Render:
    """What helm renders, once a process for the same content. Raises CliError with helm's words."""
    key = command.key()
    if key not in _rendered:
        _commands[key] = command
        try:
            objects = yaml.load_all(run(command.words()), Loader=yaml.CSafeLoader)
            _rendered[key] = pickle.dumps([o for o in objects if o])
        except CliError as problem:
            _rendered[key] = problem
    found = _rendered[key]
    if isinstance(found, CliError):
        raise found
    objects = pickle.loads(found)
    if fault:
        fault.apply(objects)
    return Render(objects)


def first_render(profile: str) -> Render:
    """A profile's render as it is, one that was asked for before."""
    values = [Path(file).name for file in PROFILES[profile]]
    for key, command in _commands.items():
        plain = Command(command.chart, command.values, SETTINGS.get(profile, ()))
        if command == plain and [file.name for file in command.values] == values and command.chart.name == "platform":
            found = _rendered[key]
            assert isinstance(found, bytes)
            return Render(pickle.loads(found))
    raise KeyError(profile)


def once(key: str, make: Callable[[], Path]) -> Path:
    """A folder that is made once a process, for all sessions of tests in it."""
    if key not in _made:
        _made[key] = make()
    return _made[key]


def profile_values(charts: Path, profile: str) -> tuple[Path, ...]:
    """The values files of a profile, over the chart's own."""
    chart = charts / "platform"
    return tuple(HERE / file if file.startswith(".") else chart / file for file in (PROFILES | SHARING)[profile])


# What is put into every render: see tests/charts/mutations.
fault: Fault | None = None
_made: dict[str, Path] = {}
_commands: dict[tuple[object, ...], Command] = {}
# Objects, so that every test has its own, or why there are none.
_rendered: dict[tuple[object, ...], bytes | CliError] = {}
_digests: dict[Path, str] = {}


def _digest(chart: Path) -> str:
    """Of a chart and those beside it, of which a chart has copies that are packed anew each time."""
    if chart not in _digests:
        digest = hashlib.sha256(chart.name.encode())
        for file in sorted(p for p in chart.parent.rglob("*") if p.is_file() and _is_content(p)):
            digest.update(str(file.relative_to(chart.parent)).encode() + b"\0" + file.read_bytes() + b"\0")
        _digests[chart] = digest.hexdigest()
    return _digests[chart]


def _is_content(file: Path) -> bool:
    return file.suffix != ".tgz" or file.name.startswith("dagster-")


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
