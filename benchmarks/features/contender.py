"""`python -m benchmarks.features.contender <contender> <rows>`: one materialisation, timed, in a process of its own.

Importing is not timed. Prints JSON: seconds, client's CPU seconds, rows, and the process' peak of resident memory.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.features.processor import peak_mb
from benchmarks.features.repository import OURS

STOCK_BATCH = 10_000
FLOOR_BATCH = 10_000
FEATURES = {
    "sessions_7d": "Int64",
    "events_30d": "Int64",
    "avg_session_s": "Float64",
    "conversion": "Float64",
    "days_since_last": "Int32",
    "is_active": "Bool",
    "plan": "String",
    "last_campaign": "String",
}
# Contender -> Feast's engine, and whether rows are written without a look at what is there.
ENGINES = {
    "stock newer-only": ("local", False),
    "stock overwrite": ("local", True),
    "ours newer-only": (OURS, False),
    "ours overwrite": (OURS, True),
}


def feast(engine: str, overwrite: bool, rows: int, folder: str) -> Callable[[], None]:
    """Feast's own `materialize` of the table, with one engine or the other."""
    from feast import Entity, FeatureStore, FeatureView, Field, RepoConfig, ValueType, types
    from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource

    e = os.environ
    offline: dict[str, Any] = {
        "type": "postgres",
        "host": e["WAREHOUSE_HOST"],
        "port": int(e["WAREHOUSE_PORT"]),
        "user": e["WAREHOUSE_USER"],
        "password": e["WAREHOUSE_PASSWORD"],
        "database": e["WAREHOUSE_DB"],
        "sslmode": "disable",
    }
    online = {
        "type": "redis",
        "connection_string": f"{e['REDIS_HOST']}:{e['REDIS_PORT']},password={e['REDIS_PASSWORD']}",
        "skip_dedup": overwrite,
    }
    store = FeatureStore(
        config=RepoConfig(
            project="benchmark",
            provider="local",
            registry=f"{folder}/registry.db",
            offline_store=offline,
            online_store=online,
            batch_engine={"type": engine},
            materialization={"online_write_batch_size": STOCK_BATCH},
            entity_key_serialization_version=3,
        )
    )
    user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.INT64)
    view = FeatureView(
        name="users",
        entities=[user],
        ttl=timedelta(days=3650),
        schema=[Field(name=name, dtype=getattr(types, kind)) for name, kind in FEATURES.items()],
        source=PostgreSQLSource(name="users", table=f"gold.users_{rows}", timestamp_field="event_timestamp"),
    )
    store.apply([user, view])
    start, end = datetime(2025, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    return lambda: store.materialize(start, end, feature_views=["users"])


def floor(rows: int) -> Callable[[], None]:
    """The least that plain Python does: COPY as text, and a HSET a row of its texts in pipelines of redis-py."""
    import psycopg
    from redis import Redis

    e = os.environ
    names = [name.encode() for name in ("_ts:users", *FEATURES)]
    query = f"copy (select user_id, event_timestamp, {', '.join(FEATURES)} from gold.users_{rows}) to stdout"  # noqa: S608

    def run() -> None:
        with (
            psycopg.connect(
                host=e["WAREHOUSE_HOST"],
                port=e["WAREHOUSE_PORT"],
                user=e["WAREHOUSE_USER"],
                password=e["WAREHOUSE_PASSWORD"],
                dbname=e["WAREHOUSE_DB"],
            ) as connection,
            Redis(host=e["REDIS_HOST"], port=int(e["REDIS_PORT"]), password=e["REDIS_PASSWORD"]) as client,
            connection.cursor() as cursor,
            cursor.copy(query.encode()) as copy,
            client.pipeline(transaction=False) as pipe,
        ):
            for number, row in enumerate(line for piece in copy for line in bytes(piece).splitlines()):
                key, *values = row.split(b"\t")
                pipe.hset(key, mapping=dict(zip(names, values, strict=True)))  # pyright: ignore[reportArgumentType]
                if number % FLOOR_BATCH == FLOOR_BATCH - 1:
                    pipe.execute()
            pipe.execute()

    return run


def main() -> None:
    name, rows = sys.argv[1], int(sys.argv[2])
    with redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory(prefix="terrane-bench-") as folder:
        run = floor(rows) if name == "floor" else feast(*ENGINES[name], rows, folder)
        began, cpu = time.perf_counter(), time.process_time()
        run()
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(json.dumps({"seconds": seconds, "cpu_s": cpu, "rows": rows, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
