"""Views of every kind that a training set joins, their tables at random, and a plain SQL join to hold an answer to."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

# A table; a query; columns under other names and keys of two columns; a quoted table and a key of text; another type of
# the same key; no entity at all.
VIEWS = """
from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, ValueType
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
from feast.types import Bool, Float64, Int64, String, UnixTimestamp

user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.INT64)
place = Entity(name="place", join_keys=["place"], value_type=ValueType.STRING)
clicks = FeatureView(
    name="clicks",
    entities=[user],
    ttl=timedelta(hours=30),
    schema=[Field(name="clicks", dtype=Int64), Field(name="kind", dtype=String)],
    source=PostgreSQLSource(
        name="clicks_source", table="gold.clicks", timestamp_field="at", created_timestamp_column="created"
    ),
)
moods = FeatureView(
    name="moods",
    entities=[user],
    ttl=timedelta(0),
    schema=[Field(name="mood", dtype=Float64)],
    source=PostgreSQLSource(
        name="moods_source", query="select user_id, at, mood from gold.moods where mood is null or mood < 90",
        timestamp_field="at",
    ),
)
stays = FeatureView(
    name="stays",
    entities=[user, place],
    ttl=timedelta(days=4),
    schema=[Field(name="nights", dtype=Int64), Field(name="paid", dtype=Bool)],
    source=PostgreSQLSource(
        name="stays_source", table="gold.stays", timestamp_field="since", created_timestamp_column="written",
        field_mapping={"guest": "user_id", "n": "nights"},
    ),
)
weather = FeatureView(
    name="weather",
    entities=[place],
    ttl=timedelta(hours=5),
    schema=[Field(name="degrees", dtype=Float64), Field(name="seen", dtype=UnixTimestamp)],
    source=PostgreSQLSource(name="weather_source", table='gold."Weather"', timestamp_field="At"),
)
small = FeatureView(
    name="small",
    entities=[user],
    ttl=timedelta(hours=8),
    schema=[Field(name="Level", dtype=Int64)],
    source=PostgreSQLSource(
        name="small_source", table="gold.small", timestamp_field="day", created_timestamp_column="created"
    ),
)
rates = FeatureView(
    name="rates",
    entities=[],
    ttl=timedelta(days=2),
    schema=[Field(name="rate", dtype=Float64)],
    source=PostgreSQLSource(name="rates_source", table="gold.rates", timestamp_field="at"),
)
everything = FeatureService(name="everything", features=[clicks, moods, stays, weather, small, rates])
some = FeatureService(name="some", features=[stays[["paid"]], clicks[["kind"]].with_name("others")])
sent = FeatureService(
    name="sent",
    features=[
        clicks.with_name("sender"),
        clicks.with_name("to").with_join_key_map({"user_id": "recipient"}),
        small,
    ],
)
"""
TABLES = """
    create schema gold;
    create table gold.clicks (user_id bigint, at timestamptz, created timestamptz, clicks bigint, kind text);
    create table gold.moods (user_id bigint, at timestamptz, mood float8);
    create table gold.stays (guest bigint, place text, since timestamptz, written timestamptz, n bigint, paid bool);
    create table gold."Weather" (place varchar(9), "At" timestamptz, degrees float8, seen timestamptz);
    create table gold.small (user_id int, day timestamptz, created timestamptz, "Level" int);
    create table gold.rates (at timestamptz, rate float8);
    create table gold.questions (user_id bigint, recipient bigint, place text, event_timestamp timestamptz, label int);
"""
START = datetime(2026, 3, 1, tzinfo=UTC)
# The plain join: for each question the rows of its own that count, the newest first, and of those one.
ORACLE = {
    "clicks": ("gold.clicks", "s.user_id = q.user_id", "at", "created", 30, {"clicks": "clicks", "kind": "kind"}),
    "moods": ("gold.moods", "s.user_id = q.user_id and (mood is null or mood < 90)", "at", "", 0, {"mood": "mood"}),
    "stays": (
        "gold.stays",
        "s.guest = q.user_id and s.place = q.place",
        "since",
        "written",
        96,
        {"nights": "n", "paid": "paid"},
    ),
    "weather": ('gold."Weather"', "s.place = q.place", '"At"', "", 5, {"degrees": "degrees", "seen": "seen"}),
    "small": ("gold.small", "s.user_id = q.user_id", "day", "created", 8, {"Level": '"Level"'}),
    "rates": ("gold.rates", "true", "at", "", 48, {"rate": "rate"}),
}


def oracle(*, known_at_the_time: bool) -> str:
    """`everything` by a lateral join a view."""
    joins, features = [], []
    for view, (table, keys, event, created, hours, columns) in ORACLE.items():
        only = [keys, f"s.{event} <= q.event_timestamp"]
        only += [f"s.{event} >= q.event_timestamp - interval '{hours} hours'"] if hours else []
        only += [f"s.{created} is not null"] if created else []
        only += [f"s.{created} <= q.event_timestamp"] if created and known_at_the_time else []
        order = f"s.{event} desc" + (f", s.{created} desc" if created else "")
        joins.append(
            f"left join lateral (select * from {table} s where {' and '.join(only)} order by {order} limit 1) {view} on"
            " true"
        )
        features += [f'{view}.{column} as "{name}"' for name, column in columns.items()]
    asked = "q.user_id, q.place, q.event_timestamp, q.label"
    return f"select {asked}, {', '.join(features)} from gold.questions q {' '.join(joins)}"


def rows_at_random(seed: int) -> dict[str, list[tuple]]:
    """Every table's rows: times on whole hours that coincide with questions' and with the ends of ttls; nulls
    everywhere; no two rows of a source that cannot be told apart."""
    chance = random.Random(seed)

    def hour() -> datetime:
        return START + timedelta(hours=chance.randrange(24 * 6))

    def maybe(value: Any, share: float = 0.1) -> Any:
        return None if chance.random() < share else value

    users, places = range(1, 7), ["a", "b", "ab", "Ö", ""]
    tables: dict[str, list[tuple]] = {name: [] for name in ("clicks", "moods", "stays", '"Weather"', "small", "rates")}
    for _ in range(120):
        at = hour()
        later = maybe(at + timedelta(hours=chance.randrange(-3, 20)))
        user, place, number = (
            maybe(chance.choice(users), 0.03),
            maybe(chance.choice(places), 0.03),
            chance.randrange(99),
        )
        tables["clicks"].append((user, maybe(at, 0.03), later, maybe(number), maybe(f"kind {number}")))
        tables["moods"].append((user, maybe(at, 0.03), maybe(float(number))))
        tables["stays"].append((user, place, at, later, maybe(number), maybe(number % 2 == 0)))
        tables['"Weather"'].append((place, at, maybe(number / 7), maybe(hour())))
        tables["small"].append((user, at, later, number))
        tables["rates"].append((at, maybe(number / 3)))
    told_apart = {"clicks": (0, 1, 2), "moods": (0, 1), "stays": (0, 1, 2, 3), '"Weather"': (0, 1), "small": (0, 1, 2)}
    for table, columns in {**told_apart, "rates": (0,)}.items():
        tables[table] = list({tuple(row[c] for c in columns): row for row in tables[table]}.values())
    questions = [
        (
            maybe(chance.randrange(9), 0.05),
            chance.randrange(9),
            maybe(chance.choice(places), 0.05),
            maybe(hour(), 0.02),
            n,
        )
        for n in range(120)
    ]
    # The same question twice, and twice in every byte.
    questions += [(*question[:4], 1000 + n) for n, question in enumerate(questions[:20])] + questions[:5]
    return {**tables, "questions": questions}


def put_rows(stores: Any, tables: dict[str, list[tuple]]) -> None:
    with stores.warehouse.connect() as connection, connection.cursor() as cursor:
        for table, rows in tables.items():
            cursor.execute(f"truncate gold.{table}".encode())
            with cursor.copy(f"copy gold.{table} from stdin".encode()) as copy:
                for row in rows:
                    copy.write_row(row)
