"""The OpenAPI document of what a product may ask: the one path, its request, its answer and its refusals."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean", "default": False}


def document(everybody: bool, max_entities: int) -> Schema:
    """The document, in OpenAPI 3.1; `everybody` when neither key nor token is asked for."""
    schemes = {
        "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    }
    operation = {
        "operationId": "get_online_features",
        "summary": "Read features of entities from the online store",
        "requestBody": {"required": True, "content": _json("Request")},
        "responses": {
            "200": {"description": "The features, in the order of the request", "content": _json("Answer")},
            **{status: {"description": text, "content": _json("Refusal")} for status, text in _REFUSALS.items()},
        },
    }
    if not everybody:
        operation["security"] = [{"apiKey": []}, {"bearer": []}]
    return {
        "openapi": "3.1.0",
        "info": {"title": "Feature server", "version": "1"},
        "paths": {"/get-online-features": {"post": operation}},
        "components": {
            "schemas": {"Request": _request(max_entities), "Answer": _ANSWER, "Refusal": {}},
            **({} if everybody else {"securitySchemes": schemes}),
        },
    }


_REFUSALS = {
    "400": "An unknown feature, a missing join key or a value of the wrong type",
    "401": "No key or token, or one that is not good",
    "404": "An unknown feature view or feature service",
    "422": "A body of another form; `loc` is the way to the field",
    "503": "A store does not answer; ask again",
}

_VECTOR: Schema = {
    "type": "object",
    "required": ["values", "statuses", "event_timestamps"],
    "properties": {
        "values": {"type": "array", "items": {}, "description": "One a row, in the request's order"},
        "statuses": {
            "type": "array",
            "items": {"enum": ["PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE"]},
        },
        "event_timestamps": {"type": "array", "items": {"type": "string", "format": "date-time"}},
    },
}

_ANSWER: Schema = {
    "type": "object",
    "required": ["results", "metadata"],
    "properties": {
        "results": {"type": "array", "items": _VECTOR, "description": "One a name in metadata.feature_names"},
        "metadata": {
            "type": "object",
            "required": ["feature_names"],
            "properties": {
                "feature_names": {"type": "array", "items": _TEXT, "description": "Join keys, then features"},
                "feature_view_metadata": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"name": _TEXT, "version": {"type": "integer"}}},
                },
            },
        },
    },
}


def _request(max_entities: int) -> Schema:
    values = {"type": "array", "items": {"type": ["integer", "string"]}, "minItems": 1, "maxItems": max_entities}
    return {
        "type": "object",
        "required": ["entities"],
        "anyOf": [{"required": ["features"]}, {"required": ["feature_service"]}],
        "properties": {
            "features": {"type": "array", "items": {"type": "string", "pattern": "^[^:]+:.+$"}, "minItems": 1},
            "feature_service": _TEXT,
            "entities": {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": values,
                "description": "A list of values a join key, all of the same length",
            },
            "full_feature_names": _FLAG,
            "include_feature_view_version_metadata": _FLAG,
        },
    }


def _json(schema: str) -> Schema:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
