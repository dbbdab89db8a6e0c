"""What Kubernetes takes of an object, by its own schemas, each read once."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

import jsonschema
import referencing
import referencing.jsonschema
from kubernetes_validate.utils import schema_contents

from terrane_cli.cluster.deploying import KUBERNETES

FOLDER = f"kubernetes-json-schema/v{KUBERNETES}-local-strict"


def reason_of_refusal(value: dict[str, Any]) -> str:
    """Why Kubernetes refuses the object, unknown fields included; empty when it takes it."""
    return _reason(json.dumps(_without_nulls(value), sort_keys=True))


@functools.cache
def _reason(text: str) -> str:
    value = json.loads(text)
    problem = next(_validator(value["kind"], value["apiVersion"]).iter_errors(value), None)
    return f"{'/'.join(str(part) for part in problem.absolute_path)}: {problem.message}" if problem else ""


@functools.cache
def _validator(kind: str, api_version: str) -> jsonschema.Draft202012Validator:
    # The file of rbac.authorization.k8s.io/v1 is that of rbac-v1.
    version = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    schema = schema_contents(f"{FOLDER}/{kind.lower()}-{version}.json", KUBERNETES)
    return jsonschema.Draft202012Validator(schema, registry=_registry())


@functools.cache
def _registry() -> referencing.Registry:
    definitions = schema_contents(f"{FOLDER}/_definitions.json", KUBERNETES)
    registry: referencing.Registry = referencing.Registry()
    return referencing.Resource.from_contents(definitions) @ registry


def _without_nulls(value: Any) -> Any:
    """A null in a manifest is a field that is not there, to the API and not to its schemas."""
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value
