"""The JSON schema of a dataset's steps: what `dg check yaml` holds a file to, and what editors complete from.

It is made from the steps themselves when somebody asks for it; loading does not, and has sentences of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from terrane_spatial.transforms.parsing import LIBRARY, SCRIPT

SCRIPT_SCHEMA = {"type": "string", "description": "The name of an SQL file beside the YAML file."}

EXAMPLE = [{"repair": {"table": "places", "keep": "points"}}, {"reproject": {"table": "places"}}]


def describe_steps(field: dict[str, Any]) -> None:
    """Makes the schema of a field that of a list of steps.

    Dagster lets every field be a template instead, and of two alternatives a validator can say only that none holds:
    steps are no template, so that the line of the wrong parameter can be named.
    """
    field.pop("anyOf", None)
    field |= {"type": "array", "items": step_schema(), "examples": [EXAMPLE]}


def step_schema() -> dict[str, Any]:
    """The schema of one step: the name of a step with its parameters, or `sql` with the name of a file."""
    steps = {name: _inlined(step.model_json_schema()) for name, step in LIBRARY.items()}
    return {
        "type": "object",
        "properties": {**steps, SCRIPT: SCRIPT_SCHEMA},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with each reference replaced by what it refers to: it becomes part of another one."""
    definitions = schema.pop("$defs", {})

    def replaced(part: Any) -> Any:
        if isinstance(part, Mapping):
            if "$ref" in part:
                return replaced(definitions[part["$ref"].rpartition("/")[2]])
            return _listed({key: replaced(value) for key, value in part.items()})
        return [replaced(value) for value in part] if isinstance(part, list) else part

    return replaced(schema)


def _listed(part: dict[str, Any]) -> dict[str, Any]:
    """A tuple of one kind as a list of that length, which Dagster's sample of a file needs; `X or null` as one type."""
    if "prefixItems" in part:
        part |= {"items": part.pop("prefixItems")[0]}
    first, *others = part.get("anyOf", [None])
    if others == [{"type": "null"}] and isinstance(first, dict) and isinstance(first.get("type"), str):
        del part["anyOf"]
        part = first | part | {"type": [first["type"], "null"]}
        if "enum" in part:
            part["enum"] = [*part["enum"], None]
    return part
