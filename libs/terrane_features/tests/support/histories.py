"""A repository of two views with histories, whose rows are corrected and written late."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

VIEWS = """
from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, ValueType
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
from feast.types import Float64, Int64

player = Entity(name="player", join_keys=["player_id"], value_type=ValueType.INT64)
place = Entity(name="place", join_keys=["place_id"], value_type=ValueType.INT64)
scores = FeatureView(
    name="scores",
    entities=[player],
    ttl=timedelta(days=3),
    schema=[Field(name="score", dtype=Int64), Field(name="mood", dtype=Float64)],
    source=PostgreSQLSource(
        name="scores_source", table="gold.scores", timestamp_field="at", created_timestamp_column="created"
    ),
)
stays = FeatureView(
    name="stays",
    entities=[player, place],
    ttl=timedelta(0),
    schema=[Field(name="nights", dtype=Int64)],
    source=PostgreSQLSource(name="stays_source", table="gold.stays", timestamp_field="since"),
)
both = FeatureService(name="both", features=[scores, stays])
alone = FeatureService(name="alone", features=[scores])
"""
TABLES = """
    create schema gold;
    create table gold.scores (player_id bigint, at timestamptz, created timestamptz, score bigint, mood float8);
    create table gold.stays (player_id bigint, place_id bigint, since timestamptz, nights bigint);
    create table gold.labels (player_id bigint, place_id bigint, event_timestamp timestamptz, label int);
"""
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Histories:
    """Rows of the three tables, as they were generated: the brute-force join reads these, and never the database."""

    scores: list[tuple] = field(default_factory=list)
    stays: list[tuple] = field(default_factory=list)
    labels: list[tuple] = field(default_factory=list)


def generate(seed: int, players: int, events: int, labels: int) -> Histories:
    """Events on whole hours, so that moments coincide; half are corrected late, some are written before their event."""
    chance = random.Random(seed)
    made = Histories()

    def moment() -> datetime:
        return START + timedelta(hours=chance.randrange(24 * 14))

    for player in range(players):
        times = chance.sample(range(24 * 14), events)
        for hour in times:
            at, created = START + timedelta(hours=hour), START + timedelta(hours=hour + chance.randrange(-2, 30))
            made.scores.append((player, at, created, chance.randrange(100), chance.choice([None, chance.random()])))
            for extra in range(chance.choice([0, 0, 1, 2])):
                later = created + timedelta(hours=1 + extra * 40 + chance.randrange(30))
                made.scores.append((player, at, later, chance.randrange(100), chance.random()))
        for place in range(3):
            for hour in chance.sample(range(24 * 14), 3):
                made.stays.append((player, place, START + timedelta(hours=hour), chance.randrange(9)))
    for _ in range(labels):
        made.labels.append((chance.randrange(players + 2), chance.randrange(4), moment(), chance.randrange(2)))
    return made


def put(stores, histories: Histories) -> None:
    with stores.warehouse.connect() as connection, connection.cursor() as cursor:
        for table in ("scores", "stays", "labels"):
            rows = getattr(histories, table)
            cursor.execute(f"truncate gold.{table}".encode())
            with cursor.copy(f"copy gold.{table} from stdin".encode()) as copy:
                for row in rows:
                    copy.write_row(row)
