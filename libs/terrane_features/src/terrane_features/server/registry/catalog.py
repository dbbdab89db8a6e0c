"""What can be asked for: a registry's views and services, read from Feast's records without Feast.

A record is a protobuf message. The numbers below are its fields', as feast/protos/feast/core of Feast 0.67 declares
them: FeatureView, FeatureService, FeatureViewProjection, Entity and Feature. Protobuf never gives a number new meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from terrane_features.online_store.format import INT32, INT64, STRING, members
from terrane_features.registry.records import Kind

Members = dict[int, list[int | bytes]]

DUMMY_ENTITY, DUMMY_KEY = "__dummy", "__dummy_id"
KEY_TYPES = frozenset({STRING, INT32, INT64})
SCALAR_MAP, ZONED_TIMESTAMP = 47, 48
STATES = ("STATE_UNSPECIFIED", "CREATED", "GENERATED", "MATERIALIZING", "AVAILABLE_ONLINE")
SERVED_STATES = frozenset({0, 4})
MATERIALIZING = 3


@dataclass(frozen=True)
class View:
    """A feature view.

    Attributes:
        join_keys: names and Feast's value types, sorted by name as keys are.
        features: value types by name, in the order of the schema.
        ttl_s: how old an event may be; 0 for any age.
        not_servable_reason: why nobody may read it now; empty when all may.
        fallback_reason: why Feast's own code has to answer; empty where ours can.
    """

    name: str
    join_keys: tuple[tuple[str, int], ...] = ()
    features: Mapping[str, int] = field(default_factory=dict)
    ttl_s: float = 0
    version: int = 0
    materialized: bool = False
    not_servable_reason: str = ""
    fallback_reason: str = ""


@dataclass(frozen=True)
class Projection:
    """What a service takes of a view: some features, under an alias, with join keys that requests name otherwise."""

    view: str
    alias: str
    features: tuple[str, ...]
    join_key_map: Mapping[str, str]

    @property
    def label(self) -> str:
        """What its features are asked for and answered under."""
        return self.alias or self.view


@dataclass(frozen=True)
class Service:
    """A feature service: its projections in their order."""

    name: str
    projections: tuple[Projection, ...]
    fallback_reason: str = ""


@dataclass(frozen=True)
class Catalog:
    """All of it. It is replaced as a whole, never changed.

    Attributes:
        entity_keys: entity name -> join key; a request may use either.
    """

    project: str
    views: Mapping[str, View] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)
    entity_keys: Mapping[str, str] = field(default_factory=dict)

    def request_names(self) -> frozenset[str]:
        """Every name under which a request may give an entity's values; what else it names is nobody's."""
        keys = {name for view in self.views.values() for name, _ in view.join_keys}
        mapped = {
            name for service in self.services.values() for p in service.projections for name in p.join_key_map.values()
        }
        return frozenset(keys | mapped | set(self.entity_keys) | set(self.entity_keys.values()))

    @property
    def needs_feast(self) -> bool:
        return any(view.fallback_reason for view in self.views.values()) or any(
            s.fallback_reason for s in self.services.values()
        )


def read_catalog(project: str, records: Iterable[tuple[Kind, bytes]], serve_while_materializing: bool) -> Catalog:
    """Builds the catalog of a project's records. Raises ValueError when a record is no message of its kind."""
    specs: dict[Kind, list[tuple[Members, Members]]] = {}
    for kind, record in records:
        parts = _fields(record)
        specs.setdefault(kind, []).append((_fields(_bytes(parts, 1)), _fields(_bytes(parts, 2))))
    entities = [_entity(spec) for spec, _ in specs.get("entity", [])]
    types = {name: kind for name, _, kind in entities}
    served = SERVED_STATES | ({MATERIALIZING} if serve_while_materializing else set())
    views = [_view(spec, meta, types, served) for spec, meta in specs.get("view", [])]
    others = [
        _other_view(spec, kind)
        for kind in ("stream view", "on demand view", "label view")
        for spec, _ in specs.get(kind, [])
    ]
    by_name = {view.name: view for view in (*views, *others)}
    services = [_service(spec, by_name) for spec, _ in specs.get("service", [])]
    keys = {name: key for name, key, _ in entities}
    return Catalog(project, by_name, {service.name: service for service in services}, keys)


def _entity(spec: Members) -> tuple[str, str, int]:
    """Name, join key and value type of an entity."""
    return _text(spec, 1), _text(spec, 4), _number(spec, 2)


def _view(spec: Members, meta: Members, entities: Mapping[str, int], served: frozenset[int]) -> View:
    name = _text(spec, 1)
    features = dict(_column(feature) for feature in spec.get(4, []))
    keys = dict(_column(column) for column in spec.get(12, []))
    missing = [e for raw in spec.get(3, []) if (e := _decoded(raw)) not in entities and e != DUMMY_ENTITY]
    not_servable_reason = ""
    if missing:
        not_servable_reason = f"Feature view {name} names the entity {missing[0]}, which the registry lacks"
    elif _number(spec, 20):
        not_servable_reason = f"Feature view {name} is disabled"
    elif (state := _number(meta, 6)) not in served:
        not_servable_reason = (
            f"Feature view {name} is in state {STATES[state] if state < len(STATES) else state}, and is not served"
        )
    return View(
        name=name,
        join_keys=tuple(sorted(keys.items())),
        features=features,
        ttl_s=_seconds(_bytes(spec, 6)),
        version=_number(meta, 4),
        materialized=3 in meta,
        not_servable_reason=not_servable_reason,
        fallback_reason=_why_feast(keys, features),
    )


def _other_view(spec: Members, kind: Kind) -> View:
    """A view that Feast answers for: its name, and its features, which on-demand views keep in another field."""
    features = dict(_column(feature) for feature in spec.get({"on demand view": 3}.get(kind, 4), []))
    return View(_text(spec, 1), features=features, fallback_reason=f"its kind is {kind}")


def _why_feast(keys: Mapping[str, int], features: Mapping[str, int]) -> str:
    if not keys or not set(keys.values()) <= KEY_TYPES:
        return "its join keys are neither INT64, INT32 nor STRING"
    if {SCALAR_MAP, ZONED_TIMESTAMP} & set(features.values()):
        return "it has features whose type Feast alone writes as JSON"
    return ""


def _service(spec: Members, views: Mapping[str, View]) -> Service:
    projections, reason = [], "it is precomputed" if _number(spec, 8) else ""
    for raw in spec.get(3, []):
        parts = _fields(_message(raw))
        projection = Projection(
            view=_text(parts, 1),
            alias=_text(parts, 3),
            features=tuple(name for name, _ in map(_column, parts.get(2, []))),
            join_key_map=dict(_pair(pair) for pair in parts.get(4, [])),
        )
        projections.append(projection)
        view = views.get(projection.view)
        reason = reason or (view.fallback_reason if view else "") or ("it pins a version" if 10 in parts else "")
    return Service(_text(spec, 1), tuple(projections), reason)


def _column(raw: int | bytes) -> tuple[str, int]:
    parts = _fields(_message(raw))
    return _text(parts, 1), _number(parts, 2)


def _pair(raw: int | bytes) -> tuple[str, str]:
    parts = _fields(_message(raw))
    return _text(parts, 1), _text(parts, 2)


def _seconds(duration: bytes) -> float:
    parts = _fields(duration)
    return _number(parts, 1) + _number(parts, 2) / 1e9


def _fields(message: bytes) -> Members:
    found: Members = {}
    for number, content in members(message):
        found.setdefault(number, []).append(content)
    return found


def _message(content: int | bytes) -> bytes:
    if isinstance(content, bytes):
        return content
    raise ValueError("a number where a message was expected")


def _decoded(content: int | bytes) -> str:
    return _message(content).decode()


def _bytes(parts: Members, number: int) -> bytes:
    return _message(parts[number][-1]) if number in parts else b""


def _text(parts: Members, number: int) -> str:
    return _bytes(parts, number).decode()


def _number(parts: Members, number: int) -> int:
    content = parts[number][-1] if number in parts else 0
    if isinstance(content, bytes):
        raise ValueError("a message where a number was expected")
    return content
