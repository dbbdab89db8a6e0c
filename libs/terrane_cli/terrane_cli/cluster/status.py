"""Every pod of the platform: its location, image, restarts; of one that fails, the reason; and what does not load."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from rich.markup import escape

from terrane_cli.cluster import access
from terrane_cli.cluster.kubernetes import NAMESPACE, kubectl, kubectl_json
from terrane_cli.commands import CliError
from terrane_cli.console import console, titled_table

# What the line of a log looks like that says why a program ended.
CAUSE = re.compile(r"^\S*(Error|Exception|Failure|FATAL|panic)\b|\b(fatal|cannot|could not)\b", re.IGNORECASE)
LOG_LINES = 60
CAUSE_LENGTH = 300
LOCATION_LABELS = ("dagster/code-location", "deployment")


@dataclass(frozen=True)
class Pod:
    """A pod as a person asks about it. `reason` is empty where all is well."""

    name: str
    location: str
    image: str
    state: str
    restarts: int
    reason: str


def pods() -> list[Pod]:
    return [_pod(item) for item in kubectl_json("get", "pods")["items"]]


def show() -> bool:
    """Prints the table; returns whether every pod is well."""
    found = pods()
    table = titled_table(f"Pods of {NAMESPACE}", "pod", "location", "image", "state", "restarts")
    for pod in found:
        style = "red" if pod.reason else "green"
        table.add_row(pod.name, pod.location, pod.image, f"[{style}]{pod.state}[/]", str(pod.restarts))
    console.print(table)
    wrong = {pod.name: pod.reason for pod in found if pod.reason}
    wrong |= {name: f"does not load: {problem}" for name, problem in load_errors().items()}
    for name, reason in wrong.items():
        console.print(f"[red]{name}[/]: {escape(reason)}", soft_wrap=True)
    return not wrong


def load_errors() -> dict[str, str]:
    """Why locations do not load, by location; empty as well where the UI does not answer, which its pod explains."""
    try:
        with access.webserver() as api:
            return {name: cause(error) for name, error in (api.load_errors() or {}).items()}
    except CliError:
        return {}


def _pod(item: dict[str, Any]) -> Pod:
    labels, status = item["metadata"].get("labels", {}), item["status"]
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    reason = _reason(item, containers)
    return Pod(
        name=item["metadata"]["name"],
        location=next((labels[label] for label in LOCATION_LABELS if label in labels), ""),
        image=item["spec"]["containers"][0]["image"],
        state=_state(status, reason),
        restarts=sum(c.get("restartCount", 0) for c in containers),
        reason=reason,
    )


def _state(status: dict[str, Any], reason: str) -> str:
    return reason.split(":")[0] if reason else status["phase"]


def _reason(item: dict[str, Any], containers: list[dict[str, Any]]) -> str:
    """Why the pod does not run: what its containers wait for or died of, or why no node takes it."""
    for container in containers:
        state = container.get("state", {})
        waiting, ended = state.get("waiting", {}), state.get("terminated", {})
        last = container.get("lastState", {}).get("terminated", {})
        if waiting and waiting.get("reason") not in {"PodInitializing", "ContainerCreating", None}:
            said = waiting.get("message") or ""
            died = f"; {_death(item, container, last, previous=True)}" if last else ""
            return f"{waiting['reason']}: container {container['name']}: {said}{died}".strip()
        if ended and ended.get("exitCode"):
            return f"{ended.get('reason', 'Error')}: {_death(item, container, ended, previous=False)}"
    for condition in item["status"].get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"Unschedulable: {condition.get('message', '')}"
    # A container that is done is not ready either.
    if any("running" in c.get("state", {}) and not c["ready"] for c in containers):
        return f"Starting: {_last_warning(item['metadata']['name'])}"
    return ""


def _last_warning(pod: str) -> str:
    """What Kubernetes last complained about: the answer of a probe, most often."""
    chosen = f"involvedObject.name={pod},type=Warning"
    events = kubectl_json("get", "events", "--field-selector", chosen)["items"]
    newest = max(events, key=lambda e: e.get("lastTimestamp") or "", default={"message": "not ready yet"})
    return cause(newest["message"])


def _death(item: dict[str, Any], container: dict[str, Any], ended: dict[str, Any], *, previous: bool) -> str:
    """How a container ended, and what its log says of it."""
    name, pod = container["name"], item["metadata"]["name"]
    command = ["logs", pod, "--container", name, *(["--previous"] if previous else [])]
    try:
        log = kubectl(*command, "--tail", str(LOG_LINES))
    except CliError:
        log = ""
    said = ended.get("message") or cause(log)
    more = f"`kubectl -n {NAMESPACE} {' '.join(command)}` says more"
    return f"container {name} ended with code {ended['exitCode']} ({ended.get('reason', '')}): {said}; {more}"


def cause(text: str) -> str:
    """The last line that names an error, or else the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    causes = [line for line in lines if CAUSE.search(line)]
    return (causes or lines or ["it said nothing"])[-1][:CAUSE_LENGTH]
