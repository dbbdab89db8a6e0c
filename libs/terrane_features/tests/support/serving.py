"""A repository to serve: views of every key and value type, rows in Redis, and both servers over it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

# Imported here because httpx imports it with its first client, while Feast may do so in the server's thread.
import httpcore  # noqa: F401
import httpx
import pandas as pd
import uvicorn
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, RequestSource, ValueType
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
from feast.on_demand_feature_view import on_demand_feature_view
from feast.protos.feast.types import Value_pb2 as v
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.types import Array, Bool, Bytes, Float32, Float64, Int32, Int64, Json, Map, Set, String, UnixTimestamp

Value = v.Value
NOW = datetime.now(UTC).replace(microsecond=0)
FRESH, STALE = NOW - timedelta(minutes=5), NOW - timedelta(hours=3)
SETTINGS = """\
project: served
provider: local
entity_key_serialization_version: 3
registry:
  registry_type: sql
  path: postgresql+psycopg://${USER_NAME}:${USER_PASSWORD}@127.0.0.1:${DB_PORT}/${DB_NAME}?options=-csearch_path%3Dfeast
  serve_features_while_materializing: true
offline_store: {type: postgres, host: 127.0.0.1, port: 1, user: none, password: none, database: none}
online_store:
  type: redis
  connection_string: '127.0.0.1:${REDIS_PORT},db=2,password="${REDIS_PASSWORD}"'
"""
TYPES: dict[str, Any] = {
    "an_int": Int64,
    "a_small_int": Int32,
    "a_double": Float64,
    "a_float": Float32,
    "a_flag": Bool,
    "a_text": String,
    "some_bytes": Bytes,
    "a_time": UnixTimestamp,
    "ints": Array(Int64),
    "small_ints": Array(Int32),
    "doubles": Array(Float64),
    "floats": Array(Float32),
    "flags": Array(Bool),
    "texts": Array(String),
    "blobs": Array(Bytes),
    "a_set": Set(Int64),
    "a_map": Map,
    "a_json": Json,
}


def values_of(n: int) -> dict[str, Any]:
    """A Value of every type, different for each n; every fifth user has doubles that are no numbers."""
    odd = [1.5 * n, float("nan"), float("inf"), float("-inf"), 0.0][n % 5]
    return {
        "an_int": Value(int64_val=(-1) ** n * n**9),
        "a_small_int": Value(int32_val=-n),
        "a_double": Value(double_val=odd),
        "a_float": Value(float_val=n / 3),
        "a_flag": Value(bool_val=n % 2 == 0),
        "a_text": Value(string_val="Größe " * (n % 40)),
        "some_bytes": Value(bytes_val=bytes(range(n % 7))),
        "a_time": Value(unix_timestamp_val=-n),
        "ints": Value(int64_list_val=v.Int64List(val=[-1, 0, n, 2**63 - 1])),
        "small_ints": Value(int32_list_val=v.Int32List(val=[-1, n] * (n % 3))),
        "doubles": Value(double_list_val=v.DoubleList(val=[odd, 1 / 3])),
        "floats": Value(float_list_val=v.FloatList(val=[0.1, n])),
        "flags": Value(bool_list_val=v.BoolList(val=[True, False])),
        "texts": Value(string_list_val=v.StringList(val=["", "ü", "x" * 200])),
        "blobs": Value(bytes_list_val=v.BytesList(val=[b"", b"\0\xff"])),
        "a_set": Value(int64_set_val=v.Int64Set(val=[n, -n])),
        "a_map": Value(map_val=v.Map(val={"a": Value(int64_val=n), "b": Value(), "": Value(string_val="")})),
        "a_json": Value(json_val=f'{{"n": {n}}}'),
    }


def source(name: str) -> PostgreSQLSource:
    return PostgreSQLSource(name=f"{name}_source", table=f"gold.{name}", timestamp_field="at")


def view(name: str, entities: list[Entity], features: dict[str, Any], **options: Any) -> Any:
    """A FeatureView; what Feast annotates of its methods is not what they return."""
    schema = [Field(name=feature, dtype=dtype) for feature, dtype in features.items()]
    return FeatureView(name=name, entities=entities, schema=schema, source=source(name), **options)


USER = Entity(name="user", join_keys=["user_id"], value_type=ValueType.INT64)
COUNTRY = Entity(name="country", join_keys=["country_code"], value_type=ValueType.STRING)
AGE = Entity(name="age_group", join_keys=["age"], value_type=ValueType.INT32)
EVERYTHING = view("everything", [USER], TYPES, ttl=timedelta(0))
VISITS = view("visits", [USER, COUNTRY], {"visits": Int64, "a_text": String}, ttl=timedelta(hours=1))
COUNTRIES = view("countries", [COUNTRY], {"people": Int64, "area": Float64}, ttl=timedelta(days=1))
AGES = view("ages", [AGE], {"share": Float64, "label": String})
WORLD = view("world", [], {"total": Int64})


@on_demand_feature_view(
    sources=[EVERYTHING, RequestSource(name="asked", schema=[Field(name="factor", dtype=Int64)])],
    schema=[Field(name="scaled", dtype=Float64)],
    mode="pandas",
)
def derived(inputs: pd.DataFrame) -> pd.DataFrame:
    return (inputs["a_float"] * inputs["factor"]).to_frame("scaled").astype("float64")


# Feast compares a service's views by their aliases, and fails on one that has none beside one that has.
HOME = COUNTRIES.with_name("home").with_join_key_map({"country_code": "home_code"})
WORK = COUNTRIES.with_name("work").with_join_key_map({"country_code": "work_code"})
SERVICES = [
    FeatureService(name="all_of_it", features=[EVERYTHING, VISITS[["visits"]], COUNTRIES]),
    FeatureService(name="few", features=[VISITS[["visits"]], EVERYTHING[["a_text", "an_int"]]]),
    FeatureService(name="two_countries", features=[WORK, HOME]),
    FeatureService(name="on_demand", features=[EVERYTHING[["an_int"]], derived]),
]
DEFINITIONS = [USER, COUNTRY, AGE, EVERYTHING, VISITS, COUNTRIES, AGES, WORLD, derived, *SERVICES]


def write(
    store: FeatureStore, view: FeatureView, rows: Sequence[tuple[dict[str, Any], dict[str, Any], datetime]]
) -> None:
    """Writes rows of (keys, values, event's time) as Feast does."""
    batch: list[Any] = [
        (EntityKey(join_keys=list(keys), entity_values=list(keys.values())), values, at, None)
        for keys, values, at in rows
    ]
    store._get_provider().online_write_batch(store.config, view, batch, None)


def fill(store: FeatureStore) -> None:
    """Rows for users 1 to 40, with nulls and a feature that is missing, for countries, ages and the world."""
    users = []
    for n in range(1, 41):
        values = values_of(n)
        for name in list(values)[:: n + 1] if n % 4 == 0 else []:
            values[name] = Value()
        if n == 3:
            del values["a_text"]
        users.append(({"user_id": Value(int64_val=n)}, values, FRESH + timedelta(microseconds=n * (1, 1000, 0)[n % 3])))
    write(store, EVERYTHING, users)
    codes = ["de", "fr", "Côte d'Ivoire"]
    visits = [
        (
            {"user_id": Value(int64_val=n), "country_code": Value(string_val=code)},
            {"visits": Value(int64_val=n), "a_text": Value() if n % 2 else Value(string_val=code)},
            STALE if n % 3 == 0 else FRESH,
        )
        for n in range(1, 21)
        for code in codes
    ]
    write(store, VISITS, visits)
    countries = [
        (
            {"country_code": Value(string_val=c)},
            {"people": Value(int64_val=len(c)), "area": Value(double_val=1 / len(c))},
            FRESH,
        )
        for c in (*codes, "7")
    ]
    write(store, COUNTRIES, countries)
    ages = [
        ({"age": Value(int32_val=a)}, {"share": Value(double_val=a / 7), "label": Value(string_val=str(a))}, FRESH)
        for a in (-1, 0, 18, 2**31 - 1)
    ]
    write(store, AGES, ages)
    write(store, WORLD, [({"__dummy_id": Value(string_val="")}, {"total": Value(int64_val=8)}, FRESH)])


def make_repository(folder: Path) -> FeatureStore:
    """Writes the settings into the folder, applies the definitions, and fills Redis."""
    (folder / "feature_store.yaml").write_text(SETTINGS)
    store = FeatureStore(repo_path=str(folder))
    store.apply(DEFINITIONS)
    for one in (EVERYTHING, VISITS, COUNTRIES, AGES, WORLD):
        one_registered = store.get_feature_view(one.name)
        store.registry.apply_materialization(one_registered, store.project, STALE, NOW)
    fill(store)
    return store


def until(holds: Callable[[], bool], timeout_s: float = 15) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def running(app: Any) -> Iterator[httpx.Client]:
    """The application behind a real port, in a thread of this process, which shares its one import of Feast."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(app, log_level="warning", log_config=None, access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            with httpx.Client(base_url=address, trust_env=False, timeout=30) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(15)


def vectors(answer: dict[str, Any]) -> dict[str, dict[str, list[Any]]]:
    """An answer's results by name."""
    return dict(zip(answer["metadata"]["feature_names"], answer["results"], strict=True))
