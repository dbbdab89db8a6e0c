{{ config(meta={'dagster': {'ref': {'name': 'user_journal_features'}}}) }}
-- Both tables of gold and the entries of known users, which they come from, agree on how many there are.
with counts as (
    select
        (select count(*) from {{ ref('journal_entries') }} inner join {{ ref('users') }} using (user_id)) as written,
        (select coalesce(sum(entries_total), 0) from {{ ref('user_journal_features') }}) as by_user,
        (select coalesce(sum(entries), 0) from {{ ref('journal_activity_daily') }}) as by_day
)

select * from counts
where written <> by_user or written <> by_day
