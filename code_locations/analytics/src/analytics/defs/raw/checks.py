"""What must hold between raw tables before anybody builds on them."""

from collections.abc import Iterator

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


KNOWN, LEFT_OUT = "entries_are_by_known_users", "no_entry_is_left_out"


@dg.multi_asset_check(
    name="checks_of_users_of_entries",
    specs=[
        dg.AssetCheckSpec(
            KNOWN,
            asset=ENTRIES,
            additional_deps=[USERS],
            blocking=True,
            automation_condition=when_unproved(),
            description=f"Of the newest {DAYS} days, at least 99 of 100 entries are by users who were ingested: "
            "otherwise days of raw/users are missing or wrong.",
        ),
        dg.AssetCheckSpec(
            LEFT_OUT,
            asset=ENTRIES,
            additional_deps=[USERS],
            description=f"Every entry of the newest {DAYS} days is by a user who was ingested. Warns, with how many "
            "are not: gold leaves them out until the user comes.",
        ),
    ],
    can_subset=True,
    retry_policy=retry_policy(),
)
def users_of_entries(
    context: dg.AssetCheckExecutionContext, warehouse: PostgresResource
) -> Iterator[dg.AssetCheckResult]:
    """Both from one look at the warehouse."""
    wanted = {key.name for key in context.selected_asset_check_keys}
    yield from (result for result in judged(warehouse) if result.check_name in wanted)


def judged(warehouse: PostgresResource) -> list[dg.AssetCheckResult]:
    """What either check says of the newest days."""
    entries, unknown, users = _unknown(warehouse)
    told = f"{unknown} of {entries} entries are by unknown users, such as {users}"
    metadata = {"entries": unknown, "users": str(users)}
    enough = unknown <= MOST_SHARE * entries
    return [
        dg.AssetCheckResult(
            check_name=KNOWN,
            asset_key=ENTRIES,
            passed=enough,
            metadata=metadata,
            description=None if enough else f"{told}; ingest raw/users again",
        ),
        dg.AssetCheckResult(
            check_name=LEFT_OUT,
            asset_key=ENTRIES,
            passed=not unknown,
            severity=dg.AssetCheckSeverity.WARN,
            metadata=metadata,
            description=f"{told}, and are not in gold until they come" if unknown else None,
        ),
    ]


def _unknown(warehouse: PostgresResource) -> tuple[int, int, list[int]]:
    """How many entries there are of the newest days, how many are by unknown users, and the first five of those.

    It reads DAYS days of entries by the index of their time, and looks up a user for each, once for both checks.
    """
    with as_failures(), database_errors(warehouse, "checking journal entries"), warehouse.connect() as connection:
        found = connection.execute(names.current().sql(UNKNOWN), [DAYS]).fetchone()
    entries, unknown, users = found or (0, 0, None)
    return entries, unknown, users or []
