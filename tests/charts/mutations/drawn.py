"""Faults drawn by a seeded generator: an object left out, or one field of it deleted, renamed, or set to another value.

What is equal by its nature is not drawn: another value of a generated password or of a checksum, and a field that says
nothing, left out or not.
"""

from __future__ import annotations

import random
import re
from typing import Any

from tests.charts.mutations.fault import Fault, Object, Path, parent, places

LEFT_OUT_SHARE = 0.08
OTHER = {
    "IfNotPresent": "Always",
    "RuntimeDefault": "Unconfined",
    "ReadWriteOnce": "ReadWriteMany",
    "ClusterIP": "NodePort",
    "RollingUpdate": "Recreate",
    "Recreate": "RollingUpdate",
    "OnFailure": "Never",
    "Never": "OnFailure",
    "Exact": "Prefix",
    "Prefix": "Exact",
    "TCP": "UDP",
    "Utilization": "AverageValue",
    "Ingress": "Egress",
    "OnRootMismatch": "Always",
    "None": "10.0.0.7",
}
# Where nothing in it is the same as no field.
SAYS_NOTHING = {"nodeSelector", "affinity", "tolerations", "annotations", "imagePullSecrets", "tls"}
# Which object it is.
IDENTITY = {("apiVersion",), ("kind",), ("metadata",), ("metadata", "name"), ("metadata", "namespace")}


def draw(objects: list[Object], number: int, seed: int) -> list[Fault]:
    """That many different faults of these objects; the same for the same seed and objects."""
    source = random.Random(seed)
    found: dict[str, Fault] = {}
    while len(found) < number:
        fault = _one(source, source.choice(objects))
        found.setdefault(fault.name, fault)
    return list(found.values())


def _one(source: random.Random, o: Object) -> Fault:
    kind, name = o["kind"], o["metadata"]["name"]
    if source.random() < LEFT_OUT_SHARE:
        return Fault(f"{kind}/{name}: left out", lambda objects: _leave_out(objects, kind, name))
    fields = [(path, value) for path, value in places(o) if path not in IDENTITY and not _says_nothing(path, value)]
    path, value = source.choice(fields)
    operation = source.choice(["delete", "rename", "change"])
    if operation == "change" and not _has_another(o, path, value):
        operation = source.choice(["delete", "rename"])
    if operation == "rename" and not isinstance(_holder(o, path), dict):
        operation = "delete"
    another = _another(source, value) if operation == "change" else None
    told = f" to {str(another)[-60:]!r}" if operation == "change" else ""

    def apply(objects: list[Object]) -> None:
        for own in objects:
            if (own["kind"], own["metadata"]["name"]) == (kind, name) and (at := parent(own, path)):
                _change(at, operation, another)

    return Fault(f"{kind}/{name}: {operation} {'.'.join(path)}{told}", apply)


def _change(at: tuple[Any, Any], operation: str, another: Any) -> None:
    holder, key = at
    if operation == "delete":
        del holder[key]
    elif operation == "rename":
        holder[f"{key}Other"] = holder.pop(key)
    else:
        holder[key] = another


def _leave_out(objects: list[Object], kind: str, name: str) -> None:
    objects[:] = [o for o in objects if (o["kind"], o["metadata"]["name"]) != (kind, name)]


def _holder(o: Object, path: Path) -> Any:
    at = parent(o, path)
    return at[0] if at else None


def _says_nothing(path: Path, value: Any) -> bool:
    return value is None or (not value and path[-1] in SAYS_NOTHING)


def _has_another(o: Object, path: Path, value: Any) -> bool:
    generated = o["kind"] == "Secret" and path[0] == "data"
    return not generated and not path[-1].startswith("checksum/") and isinstance(value, str | int | float)


def _another(source: random.Random, value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if value in OTHER:
        return OTHER[value]
    if "\n" in value.strip():
        lines = value.splitlines(keepends=True)
        full = [n for n, line in enumerate(lines) if line.strip() and not line.strip().startswith("#")]
        del lines[source.choice(full)]
        return "".join(lines)
    if quantity := re.fullmatch(r"(\d+)(m|Mi|Gi|)", value):
        return f"{int(quantity[1]) * 2}{quantity[2]}"
    return f"{value}-other" if value else "other"
