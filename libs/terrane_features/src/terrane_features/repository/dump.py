"""`python -m terrane_features.repository.dump <folder>...`: what Feast reads from repositories' files, as JSON.

A process of its own, for Feast costs seconds to import and runs the definitions' Python: whoever loads the asset graph
reads the text that is written here, under a digest of the files. A file that cannot be imported is named with line and
reason, and costs the others nothing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrane_features.feast_internals import ParsedRepository, parse_repository
from terrane_features.repository.model import KEY_TYPES

if TYPE_CHECKING:
    from feast import FeatureService, FeatureView
    from feast.data_source import DataSource

DUMMY_ENTITY = "__dummy"


def main() -> int:
    """Prints a JSON object, in which each folder has its repository."""
    folders = [Path(argument).resolve() for argument in sys.argv[1:]]
    print(json.dumps({str(folder): described(parse_repository(folder)) for folder in folders}))
    return 0


def described(parsed: ParsedRepository) -> dict[str, Any]:
    """A repository's views, services and problems, as plain values."""
    contents = parsed.contents
    entities = {entity.name: entity for entity in contents.entities}
    on_demand = {
        view.name: sorted(p.name for p in view.source_feature_view_projections.values())
        for view in contents.on_demand_feature_views
    }
    views = [_view(view, entities, parsed.place_of(view)) for view in contents.feature_views]
    return {
        "views": sorted(views, key=lambda view: view["name"]),
        "services": sorted((_service(s, on_demand) for s in contents.feature_services), key=lambda s: s["name"]),
        "problems": [{"place": place, "message": message} for place, message in parsed.problems],
    }


def _view(view: FeatureView, entities: dict[str, Any], place: str) -> dict[str, Any]:
    source: Any = view.batch_source
    problem = _problem(view, source, entities)
    keys = [entities[name] for name in view.entities if name in entities]
    declared = {column.name: column.dtype for column in view.entity_columns}
    return {
        "name": view.name,
        "place": place,
        "description": view.description,
        "join_keys": [[entity.join_key, _key_type(entity, declared)] for entity in keys],
        "features": [[feature.name, str(feature.dtype)] for feature in view.features],
        "table": (getattr(source, "_postgres_options", None) and source._postgres_options._table) or "",
        "query": (getattr(source, "_postgres_options", None) and source._postgres_options._query) or "",
        "field_mapping": dict(getattr(source, "field_mapping", None) or {}),
        "timestamp_column": getattr(source, "timestamp_field", "") or "",
        "created_column": getattr(source, "created_timestamp_column", "") or "",
        "ttl_s": view.ttl.total_seconds() if view.ttl else 0,
        "online": bool(view.online),
        "tags": {str(name): str(value) for name, value in (view.tags or {}).items()},
        "problem": problem,
    }


def _key_type(entity: Any, declared: dict[str, Any]) -> str:
    """The value type of a join key; empty where Feast takes it from the table when it applies."""
    if entity.join_key in declared:
        return declared[entity.join_key].to_value_type().name
    return "" if entity.value_type.name == "UNKNOWN" else entity.value_type.name


def _problem(view: FeatureView, source: DataSource | None, entities: dict[str, Any]) -> str:
    """Why nobody can materialise the view from Postgres; empty when it can be done."""
    if view.entities == [DUMMY_ENTITY]:
        return "it has no entity, and Feast cannot materialise such a view from Postgres: give it one"
    if missing := [name for name in view.entities if name not in entities]:
        return f"its entity {missing[0]} is declared in no file of the repository"
    declared = {column.name: column.dtype for column in view.entity_columns}
    typed = {entities[name].join_key: _key_type(entities[name], declared) for name in view.entities}
    if bad := [f"{key} is of type {kind}" for key, kind in typed.items() if kind and kind not in KEY_TYPES]:
        return (
            f"its join key {bad[0]}, and no such key is written online: make it one of {', '.join(sorted(KEY_TYPES))}"
        )
    if source is None or type(source).__name__ != "PostgreSQLSource":
        return f"its source is a {type(source).__name__}, and the warehouse is Postgres: give it a PostgreSQLSource"
    if not source.timestamp_field:
        return "its source has no timestamp_field, by which the newest row of an entity is known"
    return ""


def _service(service: FeatureService, on_demand: dict[str, list[str]]) -> dict[str, Any]:
    names = [projection.name for projection in service.feature_view_projections]
    views = {view for name in names for view in on_demand.get(name, [name])}
    return {"name": service.name, "description": service.description, "views": sorted(views)}


if __name__ == "__main__":
    sys.exit(main())
