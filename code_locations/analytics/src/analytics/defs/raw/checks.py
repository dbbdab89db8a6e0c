"""What must hold between raw tables before anybody builds on them."""

import dagster as dg

from terrane import names
from terrane.errors import as_failures, database_errors
from terrane.policies import retry_policy, when_unproved
from terrane.postgres import PostgresResource

ENTRIES, USERS = dg.AssetKey(["raw", "journal_entries"]), dg.AssetKey(["raw", "users"])
DAYS, MOST_SHARE = 31, 0.01
# Of the newest days alone: what is older was checked when it was new, and a day costs the same after ten years.
UNKNOWN = """
    select count(*), count(*) filter (where unknown),
        (array_agg(distinct user_id order by user_id) filter (where unknown))[1:5]
    from (
        select user_id, not exists (select from {raw}.users where users.id = entries.user_id) as unknown
        from {raw}.journal_entries as entries
        where created_at >= (select max(created_at) from {raw}.journal_entries) - make_interval(days => %s)
    ) as newest
"""


@dg.asset_check(
    asset=ENTRIES,
    additional_deps=[USERS],
    blocking=True,
    automation_condition=when_unproved(),
    retry_policy=retry_policy(),
    description=f"Of the newest {DAYS} days, at least 99 of 100 entries are by users who were ingested: otherwise days "
    "of raw/users are missing or wrong.",
)
def entries_are_by_known_users(warehouse: PostgresResource) -> dg.AssetCheckResult:
    entries, unknown, users = _unknown(warehouse)
    passed = unknown <= MOST_SHARE * entries
    told = f"{unknown} of {entries} entries are by unknown users, such as {users}; ingest raw/users again"
    return dg.AssetCheckResult(
        passed=passed,
        metadata={"entries": unknown, "users": str(users)},
        description=None if passed else told,
    )


@dg.asset_check(
    asset=ENTRIES,
    additional_deps=[USERS],
    retry_policy=retry_policy(),
    description=f"Every entry of the newest {DAYS} days is by a user who was ingested. Warns, with how many are not: "
    "gold leaves them out until the user comes.",
)
def no_entry_is_left_out(warehouse: PostgresResource) -> dg.AssetCheckResult:
    entries, unknown, users = _unknown(warehouse)
    told = f"{unknown} of {entries} entries are by unknown users, such as {users}, and are not in gold until they come"
    return dg.AssetCheckResult(
        passed=not unknown,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"entries": unknown, "users": str(users)},
        description=told if unknown else None,
    )


def _unknown(warehouse: PostgresResource) -> tuple[int, int, list[int]]:
    """How many entries there are of the newest days, how many are by unknown users, and the first five of those.

    It reads DAYS days of entries by the index of their time, and looks up a user for each, once a check.
    """
    with as_failures(), database_errors(warehouse, "checking journal entries"), warehouse.connect() as connection:
        found = connection.execute(names.current().sql(UNKNOWN), [DAYS]).fetchone()
    entries, unknown, users = found or (0, 0, None)
    return entries, unknown, users or []
