"""Two sources of the sample API and rows of theirs, for tests of ingestion."""

from analytics.ingestion import DailySource
from analytics.warehouse.tables import Column, Table

USERS = DailySource(
    Table(
        "users",
        [
            Column("id", "bigint", ""),
            Column("plan", "text", ""),
            Column("created_at", "timestamptz not null", ""),
            Column("updated_at", "timestamptz not null", ""),
        ],
        "id",
        "updated_at",
    ),
    "/v1/users",
    "newest_wins",
)
ENTRIES = DailySource(
    Table(
        "journal_entries",
        [
            Column("id", "bigint", ""),
            Column("user_id", "bigint not null", ""),
            Column("created_at", "timestamptz not null", ""),
            Column("place", "text", ""),
            Column("mood", "smallint", ""),
        ],
        "id",
        "created_at",
    ),
    "/v1/journal-entries",
    "replace_day",
)


def user(number, updated_at="2026-01-01T08:00:00Z"):
    names = {"name": f"user{number}", "language": "en", "plan": "free", "created_at": "2026-01-01T00:00:00Z"}
    return {"id": number, **names, "updated_at": updated_at}


def entry(number, at, by=1):
    of = {"user_id": by, "game_type": "board", "place": None, "mood": 3, "words": 10, "minutes": 5.0}
    return {"id": number, "created_at": at, **of}
