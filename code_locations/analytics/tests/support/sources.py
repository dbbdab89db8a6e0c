"""Two sources of the sample API, for tests of ingestion."""

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
