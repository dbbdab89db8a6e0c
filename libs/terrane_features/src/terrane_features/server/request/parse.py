"""A request's body, parsed and checked for its form: what it means is the plan's business."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from terrane_features.server.request.errors import malformed


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks for.

    Attributes:
        what: references `view:feature`, or the name of a feature service.
        entities: a list of values a key, all of length `rows`.
        versions: whether the answer names the views' versions, as Feast's `include_feature_view_version_metadata` says.
    """

    what: tuple[str, ...] | str
    entities: dict[str, list[Any]]
    rows: int
    full_names: bool
    versions: bool


def parse(body: bytes, max_entities: int) -> Request:
    """The request of a body. Raises RequestError (422), which names the field."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise malformed([error.pos], f"the body is not JSON: {error.msg}", "json_invalid") from None
    if type(content) is not dict:
        raise malformed([], "the body is not a JSON object", "model_attributes_type")
    entities, rows = _entities(content, max_entities)
    return Request(
        what=_what(content),
        entities=entities,
        rows=rows,
        full_names=_flag(content, "full_feature_names"),
        versions=_flag(content, "include_feature_view_version_metadata"),
    )


def _what(content: dict[str, Any]) -> tuple[str, ...] | str:
    service = content.get("feature_service")
    if service is not None:
        if type(service) is not str:
            raise malformed(["feature_service"], "Input should be a valid string", "string_type")
        return service
    features = content.get("features")
    if not features:
        raise malformed(["features"], "Field required: name features as view:feature, or a feature_service", "missing")
    if type(features) is not list:
        raise malformed(["features"], "Input should be a valid list", "list_type")
    if set(map(type, features)) != {str}:
        position = next(i for i, feature in enumerate(features) if type(feature) is not str)
        raise malformed(["features", position], "Input should be a valid string", "string_type")
    return tuple(features)


def _entities(content: dict[str, Any], max_entities: int) -> tuple[dict[str, list[Any]], int]:
    if "entities" not in content:
        raise malformed(["entities"], "Field required", "missing")
    entities = content["entities"]
    if type(entities) is not dict:
        raise malformed(["entities"], "Input should be a valid dictionary", "dict_type")
    if not entities:
        raise malformed(["entities"], "no join key is given", "too_short")
    rows = -1
    for name, values in entities.items():
        if type(values) is not list:
            raise malformed(["entities", name], "Input should be a valid list", "list_type")
        if rows >= 0 and len(values) != rows:
            raise malformed(["entities", name], f"it has {len(values)} values, and another key has {rows}", "length")
        rows = len(values)
    if not rows:
        raise malformed(["entities", next(iter(entities))], "no value is given", "too_short")
    if rows > max_entities:
        raise malformed(
            ["entities"], f"{rows} rows are asked for; ask for at most {max_entities} at a time", "too_long"
        )
    return entities, rows


def _flag(content: dict[str, Any], name: str) -> bool:
    value = content.get(name, False)
    if type(value) is not bool:
        raise malformed([name], "Input should be a valid boolean", "bool_type")
    return value
