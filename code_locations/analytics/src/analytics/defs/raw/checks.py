"""What must hold between raw tables before anybody builds on them."""

import dagster as dg

from terrane import names
from terrane.errors import as_failures, database_errors
from terrane.policies import retry_policy, when_unproved
from terrane.postgres import PostgresResource

UNKNOWN = """
    select count(*), (array_agg(distinct user_id order by user_id))[1:5]
    from {raw}.journal_entries as entries
    where not exists (select from {raw}.users where users.id = entries.user_id)
"""


@dg.asset_check(
    asset=dg.AssetKey(["raw", "journal_entries"]),
    additional_deps=[dg.AssetKey(["raw", "users"])],
    blocking=True,
    automation_condition=when_unproved(),
    retry_policy=retry_policy(),
    description="Every entry is by a user who was ingested: otherwise its days of raw/users are missing or wrong.",
)
def entries_are_by_known_users(warehouse: PostgresResource) -> dg.AssetCheckResult:
    with as_failures(), database_errors(warehouse, "checking journal entries"), warehouse.connect() as connection:
        count, users = connection.execute(names.current().sql(UNKNOWN)).fetchone() or (0, None)
    return dg.AssetCheckResult(
        passed=count == 0,
        metadata={"entries": count, "users": str(users or [])},
        description=f"{count} entries are by unknown users, such as {users}; ingest raw/users again" if count else None,
    )
