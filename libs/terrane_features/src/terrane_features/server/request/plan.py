"""From a request's features to what is read and in which order it is answered: worked out once, used again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson

from terrane_features.server.registry.catalog import DUMMY_KEY, Catalog, Projection, Service, View
from terrane_features.server.request.errors import malformed, unanswerable, unknown
from terrane_features.server.request.keys import Commands, commands_for
from terrane_features.server.request.parse import Request

# Plans of this many bytes together, as `_size` estimates them, are kept.
KEPT_BYTES = 8 << 20


@dataclass(frozen=True)
class EchoedKey:
    """A join key that the answer repeats: its name in the request and in the answer, and its value type if known."""

    given: str
    name: str
    kind: int


@dataclass(frozen=True)
class ViewRead:
    """What is read of one view: `kinds` are the features' value types, in the order of the commands' fields."""

    view: str
    commands: Commands
    kinds: tuple[int, ...]
    ttl_s: float


@dataclass(frozen=True)
class Plan:
    """How a request is answered.

    Attributes:
        inputs: names in the request, and the value types that its reads and echoes need of them.
        columns: which read, and which of its features, in the order of the request.
        ending: the end of the answer's JSON, with its metadata.
        width: values that are read of a row.
        names: the answer's names, join keys first.
        fallback_reason: why Feast has to answer it; empty otherwise, and then the rest says how.
    """

    echoes: tuple[EchoedKey, ...] = ()
    reads: tuple[ViewRead, ...] = ()
    inputs: tuple[tuple[str, int], ...] = ()
    columns: tuple[tuple[int, int], ...] = ()
    ending: bytes = b""
    names: tuple[str, ...] = ()
    width: int = 1
    fallback_reason: str = ""


class Planner:
    """Plans for one catalog, those of late kept. Memory is bounded by KEPT_BYTES, whatever is asked."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._known = catalog.request_names()
        self._plans: dict[object, Plan] = {}
        self._kept_bytes = 0

    def plan(self, request: Request) -> Plan:
        """The plan of a request. Raises RequestError: 404 for an unknown view or service, 400 for other faults."""
        alike = (
            request.what,
            request.full_names,
            request.versions,
            *filter(self._known.__contains__, request.entities),
        )
        plan = self._plans.get(alike)
        if plan is None:
            plan = make_plan(self.catalog, request)
            size = _size(request, plan)
            if self._kept_bytes + size > KEPT_BYTES:
                self._plans.clear()
                self._kept_bytes = 0
            if size <= KEPT_BYTES:
                self._plans[alike] = plan
                self._kept_bytes += size
        return plan


def _size(request: Request, plan: Plan) -> int:
    """About how many bytes a plan and its key take: their texts and commands, and what Python needs beside them."""
    asked = (request.what,) if isinstance(request.what, str) else request.what
    texts = sum(map(len, asked)) + sum(map(len, plan.names)) + len(plan.ending)
    commands = sum(len(read.commands.fields) + len(read.commands.prefix) for read in plan.reads)
    return 2000 + 2 * texts + commands + 250 * (len(asked) + len(plan.names)) + 2000 * len(plan.reads)


def make_plan(catalog: Catalog, request: Request) -> Plan:
    service = _service(catalog, request.what) if isinstance(request.what, str) else None
    wanted = _of_service(service) if service else _of_references(request.what)
    names = [f"{p.alias or p.view}__{feature}" if request.full_names else feature for p, feature in wanted]
    _refuse_collisions(wanted, names)
    projections = _grouped(wanted)
    views = [_view(catalog, projection) for projection in projections]
    reason = (service.fallback_reason if service else "") or next(
        (view.fallback_reason for view in views if view.fallback_reason), ""
    )
    if reason:
        return Plan(names=tuple(names), fallback_reason=reason)
    reads, kinds = [], {}
    for projection, view in zip(projections, views, strict=True):
        requested = _requested_keys(catalog, projection, view, request)
        kinds.update((requested[name], kind) for name, kind in view.join_keys)
        commands = commands_for(catalog.project, view, requested, projection.features)
        read_kinds = tuple(view.features[feature] for feature in projection.features)
        reads.append(ViewRead(view.name, commands, read_kinds, view.ttl_s))
    echoes = tuple(_echoes(catalog, request, kinds))
    places = {(p.label, f): (i, j) for i, p in enumerate(projections) for j, f in enumerate(p.features)}
    answered = (*(echo.name for echo in echoes), *names)
    versions = zip(projections, views, strict=True) if request.versions else ()
    return Plan(
        echoes=echoes,
        reads=tuple(reads),
        inputs=_inputs(echoes, reads),
        columns=tuple(places[projection.label, feature] for projection, feature in wanted),
        ending=_ending(answered, versions),
        names=answered,
        width=max(1, sum(len(read.kinds) for read in reads)),
    )


Wanted = list[tuple[Projection, str]]


def _service(catalog: Catalog, name: str) -> Service:
    service = catalog.services.get(name)
    if service is None:
        raise unknown("FeatureServiceNotFoundException", name, catalog.project)
    return service


def _of_service(service: Service) -> Wanted:
    return [(projection, feature) for projection in service.projections for feature in projection.features]


def _of_references(references: Iterable[str]) -> Wanted:
    wanted: Wanted = []
    for position, reference in enumerate(references):
        view, colon, feature = reference.partition(":")
        if not colon or not feature:
            raise malformed(["features", position], f"{reference!r} is not of the form view:feature")
        name, _, version = view.partition("@")
        if version and version.lower() != "latest":
            raise unanswerable(f"features[{position}]: {reference} pins a version, and versions are not served")
        wanted.append((Projection(name, "", (), {}), feature))
    return wanted


def _grouped(wanted: Wanted) -> list[Projection]:
    """One projection a label, with all features that are wanted of it."""
    features: dict[str, dict[str, None]] = {}
    first: dict[str, Projection] = {}
    for projection, feature in wanted:
        label = projection.label
        first.setdefault(label, projection)
        features.setdefault(label, {})[feature] = None
    return [Projection(p.view, p.alias, tuple(features[label]), p.join_key_map) for label, p in first.items()]


def _view(catalog: Catalog, projection: Projection) -> View:
    view = catalog.views.get(projection.view)
    if view is None:
        raise unknown("FeatureViewNotFoundException", projection.view, catalog.project)
    if view.not_servable_reason:
        raise unanswerable(view.not_servable_reason)
    missing = [feature for feature in projection.features if feature not in view.features]
    if missing and not view.fallback_reason:
        has = ", ".join(view.features)
        raise unanswerable(f"features: feature view {view.name} has no feature {missing[0]}; it has {has}")
    return view


def _refuse_collisions(wanted: Wanted, names: list[str]) -> None:
    twice = {name for name, times in Counter(names).items() if times > 1}
    if twice:
        both = [f"{p.label}:{f}" for (p, f), name in zip(wanted, names, strict=True) if name in twice]
        raise unanswerable(
            f"features: {', '.join(both)} would have the same name in the answer; ask for each once, and with"
            " full_feature_names: true where two views share a name"
        )


def _requested_keys(catalog: Catalog, projection: Projection, view: View, request: Request) -> dict[str, str]:
    """The request's name of each of the view's join keys: the projection's, else the key's own or its entity's."""
    requested: dict[str, str] = {}
    for name, _ in view.join_keys:
        mapped = projection.join_key_map.get(name)
        # A key that the projection renames stands for somebody else than the key's own name does.
        others = [mapped] if mapped else [name, *(e for e, key in catalog.entity_keys.items() if key == name)]
        given = next((other for other in others if other in request.entities), None)
        if given is None and name != DUMMY_KEY:
            raise unanswerable(f"entities: the join key {others[0]} of feature view {projection.label} is missing")
        requested[name] = given or name
    return requested


def _inputs(echoes: Sequence[EchoedKey], reads: Sequence[ViewRead]) -> tuple[tuple[str, int], ...]:
    """Each name and type once: two views may give one join key different types."""
    needed = [key for read in reads for key in read.commands.keys if key[0] != DUMMY_KEY]
    return tuple(dict.fromkeys([*((echo.given, echo.kind) for echo in echoes), *needed]))


def _echoes(catalog: Catalog, request: Request, kinds: dict[str, int]) -> Iterable[EchoedKey]:
    """The keys that are repeated: those that are used, and every other that the registry knows, as stock does."""
    join_keys = set(catalog.entity_keys.values())
    for given in request.entities:
        if given in kinds or given in join_keys or given in catalog.entity_keys:
            own = given in join_keys or given not in catalog.entity_keys
            yield EchoedKey(given, given if own else catalog.entity_keys[given], kinds.get(given, 0))


def _ending(names: Iterable[str], versions: Iterable[tuple[Projection, View]]) -> bytes:
    metadata: dict[str, object] = {"feature_names": list(names)}
    labelled = {p.label: {"name": p.label, **({"version": v.version} if v.version else {})} for p, v in versions}
    if labelled:
        metadata["feature_view_metadata"] = list(labelled.values())
    return b'],"metadata":%s}' % orjson.dumps(metadata)
