"""A few random entities read back the way a product reads them, and compared with the table they come from."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from terrane_features.materialize.compare import comparable, same
from terrane_features.repository.model import FeatureView

if TYPE_CHECKING:
    import psycopg
    from feast import FeatureStore
    from psycopg import sql

ENTITIES = 5
# So many are drawn before ENTITIES of them are, or a sort of all would take as long as the rest.
CANDIDATES = 1000
KEY_VARIABLE = "FEATURE_SERVER_API_KEY"
HTTP_TIMEOUT_S = 5
# A feature server looks for new definitions every few seconds; until then it does not know a new view.
REFRESH_WAIT_S = 20

Reader = Callable[[FeatureView, Mapping[str, Sequence[Any]]], Mapping[str, Sequence[Any]]]


@dataclass(frozen=True)
class Difference:
    """A value that a reader got otherwise than the table has it."""

    entity: str
    feature: str
    expected: Any
    got: Any


@dataclass(frozen=True)
class Reading:
    """What a reader answered for some entities.

    Attributes:
        asked: who was asked; or why nobody was.
        silent: whether somebody should have answered and did not.
    """

    entities: int
    differences: list[Difference]
    asked: str
    silent: bool = False


def sample(connection: psycopg.Connection, rows: sql.Composed, count: int) -> list[dict[str, Any]]:
    """At most ENTITIES random rows: join keys and features by name.

    Args:
        rows: a query for the rows that are served, of which there are about `count`.
    """
    from psycopg import sql
    from psycopg.rows import dict_row

    query = sql.SQL(
        "select * from (select * from ({rows}) as served where random() < {share}) as drawn order by random() limit {n}"
    ).format(rows=rows, share=sql.Literal(min(1.0, CANDIDATES / max(count, 1))), n=sql.Literal(ENTITIES))
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query).fetchall()


def read_store(view: FeatureView, rows: Sequence[Mapping[str, Any]], store: FeatureStore) -> Reading:
    """The rows' entities through Feast's own client."""
    return Reading(len(rows), compare(view, rows, store_reader(store)), "Feast's own client")


def read_server(view: FeatureView, rows: Sequence[Mapping[str, Any]], url: str) -> Reading:
    """The rows' entities through the feature server at `url`, if there is one."""
    if not url:
        return Reading(0, [], "nobody: FEATURE_SERVER_URL is not set")
    try:
        return Reading(len(rows), compare(view, rows, http_reader(url)), url)
    except OSError as error:
        return Reading(0, [], f"{url}, which does not answer ({error})", silent=True)


def compare(view: FeatureView, rows: Sequence[Mapping[str, Any]], read: Reader) -> list[Difference]:
    """The values in which the reader's answer for the rows' entities differs from the rows."""
    if not rows:
        return []
    answer = read(view, {name: [row[name] for row in rows] for name in view.key_names})
    return [
        Difference(", ".join(str(row[name]) for name in view.key_names), f.name, row[f.name], answer[f.name][i])
        for i, row in enumerate(rows)
        for f in view.features
        if comparable(f.dtype)
        if not same(row[f.name], answer[f.name][i], f.dtype)
    ]


def store_reader(store: FeatureStore) -> Reader:
    """Reads through Feast's own client."""

    def read(view: FeatureView, entities: Mapping[str, Sequence[Any]]) -> Mapping[str, Sequence[Any]]:
        rows = [dict(zip(entities, values, strict=True)) for values in zip(*entities.values(), strict=True)]
        return store.get_online_features(features=_references(view), entity_rows=rows).to_dict()

    return read


def http_reader(url: str) -> Reader:
    """Reads through a feature server. Raises OSError when nobody answers at `url`, or not to us."""

    def read(view: FeatureView, entities: Mapping[str, Sequence[Any]]) -> Mapping[str, Sequence[Any]]:
        answer = _ask(url, {"features": _references(view), "entities": {k: list(v) for k, v in entities.items()}})
        try:
            names = answer["metadata"]["feature_names"]
            return {name: result["values"] for name, result in zip(names, answer["results"], strict=True)}
        except (KeyError, TypeError, ValueError) as error:
            raise ConnectionError("it answers something else than features") from error

    return read


def _ask(url: str, question: dict[str, Any]) -> dict[str, Any]:
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"FEATURE_SERVER_URL is {url!r}: write http://host:port")
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get(KEY_VARIABLE):
        headers["X-API-Key"] = key
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
        f"{url.rstrip('/')}/get-online-features", json.dumps(question).encode(), headers
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + REFRESH_WAIT_S
    while True:
        try:
            with opener.open(request, timeout=HTTP_TIMEOUT_S) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.UNAUTHORIZED:
                raise PermissionError(f"it asks for a key: set {KEY_VARIABLE} to one of its keys") from error
            # Everything is written by now: a server that is being replaced, or is behind, must not undo that.
            if time.monotonic() > until:
                raise ConnectionError(f"it answers {error.code}: {error.read(500).decode(errors='replace')}") from error
            time.sleep(1)
        except ValueError as error:
            raise ConnectionError(f"it answers no JSON: {error}") from error


def _references(view: FeatureView) -> list[str]:
    return [f"{view.name}:{feature.name}" for feature in view.features]
