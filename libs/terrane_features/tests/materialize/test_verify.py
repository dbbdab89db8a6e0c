"""The canary reads every type as its table has it, through Feast's client and through the feature server."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import dagster as dg
import pytest
from serving import running, until

from terrane_features.checks.results import SERVER, STORE
from terrane_features.materialize import verify
from terrane_features.materialize.snapshot import Source, newest_rows
from terrane_features.repository.model import Feature
from terrane_features.repository.model import FeatureView as DeclaredView
from terrane_features.server.app import App
from terrane_features.server.registry.watch import RegistryWatcher
from terrane_features.server.settings import read_settings

pytestmark = pytest.mark.integration
TYPED = """
from entities import user_entity
from feast import FeatureView, Field
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
from feast.types import (
    Array, Bool, Bytes, Decimal, Float32, Float64, ImageBytes, Int32, Int64, Json, PdfBytes, Set, String, TimeUuid,
    UnixTimestamp, Uuid,
)

typed = FeatureView(
    name="typed",
    entities=[user_entity],
    schema=[
        Field(name="a_small", dtype=Int32),
        Field(name="a_float", dtype=Float32),
        Field(name="a_double", dtype=Float64),
        Field(name="some_bytes", dtype=Bytes),
        Field(name="a_time", dtype=UnixTimestamp),
        Field(name="ints", dtype=Array(Int64)),
        Field(name="doubles", dtype=Array(Float64)),
        Field(name="floats", dtype=Array(Float32)),
        Field(name="texts", dtype=Array(String)),
        Field(name="flags", dtype=Array(Bool)),
        Field(name="times", dtype=Array(UnixTimestamp)),
        Field(name="blobs", dtype=Array(Bytes)),
        Field(name="a_decimal", dtype=Decimal),
        Field(name="a_uuid", dtype=Uuid),
        Field(name="a_time_uuid", dtype=TimeUuid),
        Field(name="a_json", dtype=Json),
        Field(name="an_image", dtype=ImageBytes),
        Field(name="a_pdf", dtype=PdfBytes),
        Field(name="a_set", dtype=Set(Int64)),
    ],
    source=PostgreSQLSource(name="typed_source", table="gold.typed", timestamp_field="at"),
)
"""
ROWS_SQL = r"""
    create table gold.typed as select n::bigint as user_id, now() - interval '1 hour' as at, (-n)::int as a_small,
        (n / 3.0)::float4 as a_float,
        case n % 3 when 0 then 'NaN' when 1 then 'Infinity' else 0.1 end::float8 as a_double,
        decode('00ff' || lpad(n::text, 4, '0'), 'hex') as some_bytes,
        '2026-03-01 12:00:00.25+02'::timestamptz + n * interval '1 day' as a_time,
        array[1, -n]::bigint[] as ints, array[0.1, n / 7.0]::float8[] as doubles,
        array[0.1, n / 7.0]::float4[] as floats,
        array['', 'Größe']::text[] as texts, array[true, n % 2 = 0] as flags,
        array['2026-03-01'::timestamptz, '1960-01-01'] as times, array['\x00ff'::bytea, ''] as blobs,
        '1.50' as a_decimal, '0190F3E2-9C1B-7A5D-8B3E-4F2A6C7D8E9F' as a_uuid,
        'd2177dd0-eaa2-11de-a572-001b779c76e3' as a_time_uuid, '{"b": 1, "a": [2]}' as a_json,
        '\x0102'::bytea as an_image, '\x0304'::bytea as a_pdf, array[3, 1]::bigint[] as a_set
    from generate_series(1, 4) n
"""


@pytest.fixture
def typed(stores):
    (stores.feast.folder / "typed.py").write_text(TYPED)
    stores.sql(ROWS_SQL)
    stores.sql("insert into gold.typed (user_id, at) values (5, now())")
    return stores


def test_every_type_is_read_back_as_gold_by_both(typed) -> None:
    settings = read_settings(typed.feast.folder)
    with running(App(settings, RegistryWatcher(settings, 0.2))) as client:
        until(lambda: client.get("/ready").status_code == 200)
        result = typed.run(url=str(client.base_url).rstrip("/"), raise_on_error=False)
    seen: dict[str, Any] = {
        e.check_name: e for e in result.get_asset_check_evaluations() if e.asset_key == dg.AssetKey(["online", "typed"])
    }
    told = {name: str(seen[name].metadata["differences"].value) for name in (STORE, SERVER)}
    assert told == {STORE: "none", SERVER: "none"}
    assert result.success
    assert [seen[name].metadata["entities"].value for name in (STORE, SERVER)] == [5, 5]


def test_the_canary_names_the_user_and_the_value_that_differ(stores) -> None:
    stores.run()
    with stores.warehouse.connect() as connection:
        columns = ["user_id", *(feature.name for feature in stores.view.features)]
        query = newest_rows(Source.of(stores.view), columns, datetime.now(UTC), unique=True)
        rows = verify.sample(connection, query, stores.users)
    assert len(rows) == verify.ENTITIES
    rows[0]["entries_total"] += 1
    (difference,) = verify.read_store(stores.view, rows, stores.feast.store()).differences
    assert (difference.entity, difference.feature) == (str(rows[0]["user_id"]), "entries_total")
    assert difference.expected == difference.got + 1


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (503, b"starting", "it answers 503: starting"),
        (404, b"unknown view", "it answers 404: unknown view"),
        (200, b"<html>", "it answers no JSON"),
        (200, b"{}", "it answers something else than features"),
    ],
)
def test_a_server_that_cannot_answer_is_told_and_does_not_fail_what_is_written(
    monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, reason: str
) -> None:
    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            pass

    monkeypatch.setattr(verify, "REFRESH_WAIT_S", 0)
    view = DeclaredView("v", "", (("id", "INT64"),), (Feature("a", "Int64"),), "gold.t", "at", "")
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.handle_request).start()
        reading = verify.read_server(view, [{"id": 1, "a": 2}], f"http://127.0.0.1:{server.server_port}")
    assert (reading.silent, reading.differences, reading.entities) == (True, [], 0)
    assert reason in reading.asked
