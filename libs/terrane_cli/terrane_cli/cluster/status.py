"""Every pod of the platform: its location, image and restarts; and of a pod that fails, the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from terrane_cli.cluster.commands import NAMESPACE, kubectl_json

GOOD = {"Running", "Succeeded", "Completed"}
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
    return [_pod(item) for item in kubectl_json("--namespace", NAMESPACE, "get", "pods")["items"]]


def show(console: Console) -> bool:
    """Prints the table; returns whether every pod is well."""
    found = pods()
    table = Table("pod", "location", "image", "state", "restarts", title=f"Pods of {NAMESPACE}", title_justify="left")
    for pod in found:
        style = "red" if pod.reason else "green"
        table.add_row(pod.name, pod.location, pod.image, f"[{style}]{pod.state}[/]", str(pod.restarts))
    console.print(table)
    for pod in found:
        if pod.reason:
            console.print(f"[red]{pod.name}[/]: {pod.reason}", highlight=False)
    return not any(pod.reason for pod in found)


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
    if reason:
        return reason.split(":")[0]
    if status["phase"] == "Running" and not all(c["ready"] for c in status.get("containerStatuses", [])):
        return "Starting"
    return status["phase"]


def _reason(item: dict[str, Any], containers: list[dict[str, Any]]) -> str:
    """Why the pod does not run: what its containers wait for or died of, or why no node takes it."""
    for container in containers:
        state = container.get("state", {})
        waiting, ended = state.get("waiting", {}), state.get("terminated", {})
        last = container.get("lastState", {}).get("terminated", {})
        if waiting and waiting.get("reason") not in {"PodInitializing", "ContainerCreating", None}:
            said = waiting.get("message") or last.get("message") or ""
            died = f"; it last ended with code {last['exitCode']} ({last.get('reason', '')})" if last else ""
            return f"{waiting['reason']}: container {container['name']}: {said}{died}".strip()
        if ended and ended.get("exitCode"):
            said = ended.get("message") or f"`kubectl -n {NAMESPACE} logs {item['metadata']['name']}` says more"
            how = f"{ended.get('reason', 'Error')}: container {container['name']} ended with code {ended['exitCode']}"
            return f"{how}; {said}"
    for condition in item["status"].get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"Unschedulable: {condition.get('message', '')}"
    return ""
