"""What a user's journal says about the user, a row a user."""

from datetime import timedelta

from entities import user_entity
from feast import FeatureService, FeatureView, Field
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
from feast.types import Bool, Float64, Int64, String

user_journal_source = PostgreSQLSource(
    name="user_journal_source",
    table="user_journal_features",  # of the schema `db_schema` in feature_store.yaml, each environment's own
    timestamp_field="event_timestamp",
    created_timestamp_column="created_timestamp",
    description="Made by dbt in the analytics location.",
    owner="team:analytics",
)

user_journal_features = FeatureView(
    name="user_journal_features",
    entities=[user_entity],
    # How far back a point-in-time join looks for a user's row; reads of the online store do not ask for it.
    ttl=timedelta(days=3650),
    schema=[
        Field(name="entries_total", dtype=Int64, description="Entries ever written."),
        Field(name="entries_last_7d", dtype=Int64, description="Entries of the last 7 days."),
        Field(name="entries_last_30d", dtype=Int64, description="Entries of the last 30 days."),
        Field(name="minutes_total", dtype=Float64, description="Minutes of all entries together."),
        Field(name="avg_words", dtype=Float64, description="Words an entry, on average; null when none was counted."),
        Field(name="avg_mood", dtype=Float64, description="Mood an entry, on average; null when none was given."),
        Field(name="favourite_game_type", dtype=String, description="The game type of most entries."),
        Field(name="last_place", dtype=String, description="The place of the newest entry."),
        Field(name="last_country", dtype=String, description="The country of that place."),
        Field(name="countries_visited", dtype=Int64, description="Different countries of all entries."),
        Field(name="is_active", dtype=Bool, description="Whether the user wrote in the last 30 days."),
    ],
    source=user_journal_source,
    online=True,
    description="A user's journal in eleven numbers and names.",
    owner="team:features",
    tags={"domain": "features"},
)

analyzer = FeatureService(
    name="analyzer",
    features=[user_journal_features],
    description="What the Analyzer service asks for.",
    owner="team:features",
)
