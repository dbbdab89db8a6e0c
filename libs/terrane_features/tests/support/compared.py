"""Stock Feast and ours over one repository's files, each with a registry and a Redis database of its own."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from feast import FeatureStore, repo_operations
from feast.feature_server_utils import convert_response_to_dict
from feast.repo_config import load_repo_config
from repositories import ENTITIES, Generated
from serving import running, until, vectors

from terrane.postgres import PostgresResource
from terrane_dev.servers import postgres
from terrane_dev.testing import PostgresServer, RedisServer
from terrane_features.materialize.run import materialize
from terrane_features.registry.apply import register
from terrane_features.resources import FeastResource
from terrane_features.server.app import App
from terrane_features.server.registry.watch import RegistryWatcher
from terrane_features.server.settings import read_settings

OURS, STOCK = "feast", "stock"
ENGINES = {OURS: "terrane_features.engine.compute.RedisComputeEngine", STOCK: "local"}
# What stock serves for a time that is null: pandas' NaT as a number. Ours serves null.
NOT_A_TIME = -(2**63)
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
ASKED = 20


@dataclass(frozen=True)
class Side:
    """One of the two: its copy of the files."""

    folder: Path
    warehouse: PostgresResource

    def store(self) -> FeatureStore:
        return FeatureStore(repo_path=str(self.folder))


@dataclass
class Sides:
    """A warehouse with a schema for each registry, and two databases of one Redis."""

    postgres_server: PostgresServer
    redis_server: RedisServer
    warehouse: PostgresResource = field(init=False)

    def __post_init__(self) -> None:
        server, name, password = self.postgres_server, f"repos_{secrets.token_hex(4)}", secrets.token_hex(8)
        postgres.ensure_role(server.port, server.password, name, password)
        postgres.ensure_database(server.port, server.password, name, name)
        self.warehouse = PostgresResource(
            host="127.0.0.1", port=str(server.port), user=name, password=password, database=name
        )
        with self.warehouse.connect() as connection:
            connection.execute("create schema gold; create schema feast; create schema stock")

    @contextmanager
    def repository(self, generated: Generated, folder: Path) -> Iterator[tuple[Side, Side]]:
        """Applied by both; the variables it names are set until the block ends."""
        with self.warehouse.connect() as connection:
            for statement, values in generated.sql:
                connection.execute(statement.encode(), values)
        before = {name: os.environ.get(name) for name in generated.variables}
        os.environ.update(generated.variables)
        try:
            stock, ours = (self._side(generated, folder, schema) for schema in (STOCK, OURS))
            _apply_by_stock(stock.folder)
            register(FeastResource(repo_path=str(ours.folder)), self.warehouse, allow_deletions=False, run_id="r")
            yield stock, ours
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
            self._forget()

    def _forget(self) -> None:
        """Empties both registries: Feast reads all projects of one again and again while it applies to one of them.

        Ends what its stores have left connected, too: after some two hundred repositories Postgres takes no more.
        """
        with self.warehouse.connect() as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and usename = current_user and pid <> pg_backend_pid()"
            )
            found = connection.execute(
                "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname in ('feast', 'stock')"
            ).fetchall()
            if found:
                connection.execute(f"truncate {', '.join(name for (name,) in found)}".encode())

    def _side(self, generated: Generated, folder: Path, schema: str) -> Side:
        place, database = folder / schema / "repository", {STOCK: 3, OURS: 4}[schema]
        place.mkdir(parents=True)
        generated.write(place, self._settings(schema, database))
        return Side(place, self.warehouse)

    def _settings(self, schema: str, database: int) -> str:
        w, r = self.warehouse, self.redis_server
        return f"""\
provider: local
entity_key_serialization_version: 3
registry:
  registry_type: sql
  path: postgresql+psycopg://{w.user}:{w.password}@{w.host}:{w.port}/{w.database}?options=-csearch_path%3D{schema}
offline_store:
  {{type: postgres, host: {w.host}, port: {w.port}, user: {w.user}, password: "{w.password}", database: {w.database},
   db_schema: gold, sslmode: null}}
online_store: {{type: redis, connection_string: '127.0.0.1:{r.port},db={database},password="{r.password}"'}}
batch_engine: {{type: {ENGINES[schema]}}}
"""


def compare_definitions(stock: Side, ours: Side) -> None:
    """What the two registries hold, and what the assets are made from, is the same."""
    expected, held = (_registered(side.store()) for side in (stock, ours))
    different = {name for name in expected.keys() | held.keys() if expected.get(name) != held.get(name)}
    assert not different, [(name, expected.get(name), held.get(name)) for name in sorted(different)]
    declared = FeastResource(repo_path=str(ours.folder)).repository()
    store = stock.store()
    views = {view.name: view for view in store.list_feature_views() if view.online}
    assert (declared.project, declared.problems) == (store.project, ())
    assert {view.name for view in declared.views} == set(views)
    for mine in declared.views:
        theirs = views[mine.name]
        assert sorted(mine.key_names) == sorted(theirs.join_keys)
        assert [(f.name, f.dtype) for f in mine.features] == [(f.name, str(f.dtype)) for f in theirs.features]
        assert (mine.ttl.total_seconds() if mine.ttl else 0) == (theirs.ttl.total_seconds() if theirs.ttl else 0)
    services = {s.name: {p.name for p in s.feature_view_projections} for s in store.list_feature_services()}
    assert {service.name: set(service.views) for service in declared.services} == services


def compare_served(generated: Generated, stock: Side, ours: Side) -> bool:
    """Every view and service answers the same for ASKED keys, some of which nobody has; whether there was any."""
    resource, reference = FeastResource(repo_path=str(ours.folder)), stock.store()
    views = [view.name for view in generated.views if view.online]
    if not views:
        return False
    reference.materialize(BEGINNING, datetime.now(UTC), feature_views=views)
    for view in views:
        materialize(resource, ours.warehouse, view)
    settings = read_settings(ours.folder)
    with running(App(settings, RegistryWatcher(settings, 0.2))) as client:
        until(lambda: client.get("/ready").json()["feature_views"] > 0)
        for question in _questions(generated):
            _compare_answers(reference, client, question)
    return True


def _questions(generated: Generated) -> Iterator[dict[str, Any]]:
    keys = {entity.key: entity for view in generated.views for entity in view.entities}
    rows = {key: [entity.value(n % (ENTITIES + 3)) for n in range(ASKED)] for key, entity in keys.items()}
    for view in (view for view in generated.views if view.online):
        own = {entity.key: rows[entity.key] for entity in view.entities}
        yield {"features": [f"{view.name}:{feature}" for feature in view.features], "entities": own}
    for service in generated.services:
        yield {"feature_service": service, "entities": rows}


def _compare_answers(reference: FeatureStore, client: httpx.Client, question: dict[str, Any]) -> None:
    what: Any = question.get("features") or reference.get_feature_service(question["feature_service"])
    try:
        asked = reference.get_online_features(features=what, entity_rows=question["entities"])
    except Exception as error:
        status = client.post("/get-online-features", json=question).status_code
        if status < 400:
            raise AssertionError(f"stock refuses {question}, and ours answers it") from error
        return
    expected = vectors(convert_response_to_dict(asked.proto))
    answer = client.post("/get-online-features", json=question)
    assert answer.status_code == 200, (question, answer.text)
    got = vectors(answer.json())
    for name in {name for name in expected if name not in question["entities"]}:
        values = [None if value == NOT_A_TIME else value for value in expected[name]["values"]]
        assert got[name]["values"] == values, (name, got[name], values, question)


def _registered(store: FeatureStore) -> dict[tuple[str, str], str]:
    """Everything declared, by kind and name, without the times at which it was written."""
    kinds = {
        "entities": store.list_entities(),
        "views": store.list_feature_views(),
        "on demand": store.list_on_demand_feature_views(),
        "services": store.list_feature_services(),
        "sources": store.list_data_sources(),
    }
    return {(kind, found.name): _definition(found) for kind, objects in kinds.items() for found in objects}


def _definition(found: Any) -> str:
    message = found.to_proto()
    _clear_times(message)
    return str(message)


def _clear_times(message: Any) -> None:
    """Clears each `meta`, which says when the object was written, of the message and of those inside it."""
    for descriptor, value in message.ListFields():
        if descriptor.name == "meta":
            message.ClearField("meta")
        elif descriptor.message_type and not descriptor.message_type.GetOptions().map_entry:
            for part in value if descriptor.is_repeated else [value]:
                _clear_times(part)


def _apply_by_stock(folder: Path) -> None:
    """`feast apply`, without what it leaves behind in this process."""
    before, place = list(sys.path), Path.cwd()
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    try:
        repo_operations.apply_total(load_repo_config(folder, folder / "feature_store.yaml"), folder, False)
    finally:
        os.chdir(place)
        sys.path[:] = before
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(f"{folder}{os.sep}"):
                del sys.modules[name]
