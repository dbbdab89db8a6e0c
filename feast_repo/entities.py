"""Who features are about."""

from feast import Entity, ValueType

user_entity = Entity(
    name="user_entity",
    join_keys=["user_id"],
    value_type=ValueType.INT64,
    description="A user of the journal.",
    owner="team:features",
)
