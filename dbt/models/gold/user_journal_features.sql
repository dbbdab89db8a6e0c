with favourites as (
    select distinct on (user_id)
        user_id,
        game_type
    from {{ ref('located_entries') }}
    group by user_id, game_type
    order by user_id, count(*) desc, max(created_at) desc, game_type
),

last_places as (
    select distinct on (user_id)
        user_id,
        place,
        country
    from {{ ref('located_entries') }}
    where place is not null
    order by user_id, created_at desc, entry_id desc
),

totals as (
    select
        entries.user_id,
        max(entries.created_at) as last_entry_at,
        count(*) as entries_total,
        count(*) filter (where entries.created_at >= as_of.as_of - interval '7 days') as entries_last_7d,
        count(*) filter (where entries.created_at >= as_of.as_of - interval '30 days') as entries_last_30d,
        sum(entries.minutes::numeric)::double precision as minutes_total,
        avg(entries.words::numeric)::double precision as avg_words,
        avg(entries.mood::numeric)::double precision as avg_mood,
        count(distinct entries.country) as countries_visited
    from {{ ref('located_entries') }} as entries
    cross join {{ ref('as_of') }} as as_of
    group by entries.user_id
)

select
    users.user_id,
    as_of.as_of as event_timestamp,
    coalesce(greatest(totals.last_entry_at, users.updated_at), users.updated_at) as created_timestamp,
    coalesce(totals.entries_total, 0) as entries_total,
    coalesce(totals.entries_last_7d, 0) as entries_last_7d,
    coalesce(totals.entries_last_30d, 0) as entries_last_30d,
    coalesce(totals.minutes_total, 0) as minutes_total,
    totals.avg_words,
    totals.avg_mood,
    favourites.game_type as favourite_game_type,
    last_places.place as last_place,
    last_places.country as last_country,
    coalesce(totals.countries_visited, 0) as countries_visited,
    coalesce(totals.entries_last_7d, 0) > 0 as is_active
from {{ ref('users') }} as users
cross join {{ ref('as_of') }} as as_of
left join totals on totals.user_id = users.user_id
left join favourites on favourites.user_id = users.user_id
left join last_places on last_places.user_id = users.user_id
where as_of.as_of is not null
