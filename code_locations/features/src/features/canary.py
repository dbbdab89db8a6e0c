"""A few random entities read back the way a product reads them, and compared with the table they come from."""

from __future__ import annotations

import json
import math
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from features.repository import FeatureView

if TYPE_CHECKING:
    import psycopg
    from feast import FeatureStore

ENTITIES = 5
KEY_VARIABLE = "FEATURE_SERVER_API_KEY"
HTTP_TIMEOUT_S = 5
# A feature server looks for new definitions every few seconds; until then it does not know a new view.
REFRESH_WAIT_S = 20
FLOAT32 = {"Float32"}

Reader = Callable[[FeatureView, Mapping[str, Sequence[Any]]], Mapping[str, Sequence[Any]]]


@dataclass(frozen=True)
class Difference:
    """A value that a reader got otherwise than the table has it."""

    entity: str
    feature: str
    expected: Any
    got: Any


def sample(connection: psycopg.Connection, view: FeatureView, end: datetime) -> list[dict[str, Any]]:
    """At most ENTITIES random rows of the view's table with an event up to `end`: join keys and features by name."""
    from psycopg import sql
    from psycopg.rows import dict_row

    names = [*view.key_names, *(feature.name for feature in view.features)]
    query = sql.SQL("select {names} from {table} where {time} <= %s order by random() limit {limit}").format(
        names=sql.SQL(", ").join(sql.Identifier(name) for name in names),
        table=sql.Identifier(*view.table.split(".")),
        time=sql.Identifier(view.timestamp_column),
        limit=sql.Literal(ENTITIES),
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, [end]).fetchall()


def compare(view: FeatureView, rows: Sequence[Mapping[str, Any]], read: Reader) -> list[Difference]:
    """The values in which the reader's answer for the rows' entities differs from the rows."""
    if not rows:
        return []
    answer = read(view, {name: [row[name] for row in rows] for name in view.key_names})
    return [
        Difference(", ".join(str(row[name]) for name in view.key_names), f.name, row[f.name], answer[f.name][i])
        for i, row in enumerate(rows)
        for f in view.features
        if not _same(row[f.name], answer[f.name][i], f.dtype)
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
        names = answer["metadata"]["feature_names"]
        return {name: result["values"] for name, result in zip(names, answer["results"], strict=True)}

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
            if time.monotonic() > until:
                raise RuntimeError(f"{request.full_url} answers {error.code}: {error.read(500).decode()}") from error
            time.sleep(1)


def _references(view: FeatureView) -> list[str]:
    return [f"{view.name}:{feature.name}" for feature in view.features]


def _same(expected: Any, got: Any, dtype: str) -> bool:
    if isinstance(expected, float) and isinstance(got, int | float):
        if math.isnan(expected):
            return math.isnan(got)
        return math.isclose(expected, got, rel_tol=1e-6) if dtype in FLOAT32 else expected == got
    if isinstance(expected, datetime):
        return expected == (datetime.fromisoformat(got) if isinstance(got, str) else got)
    return expected == got
