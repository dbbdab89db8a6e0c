-- An entry by a user who is not there yet is left out until the user comes, and is counted by raw's checks. One of a game
-- type that is not there yet stays.
select
    entries.entry_id,
    entries.user_id,
    entries.created_at,
    (entries.created_at at time zone 'UTC')::date as day,
    entries.game_type,
    games.is_digital,
    entries.mood,
    entries.words,
    entries.minutes,
    places.place_id,
    places.place,
    places.country
from {{ ref('journal_entries') }} as entries
inner join {{ ref('users') }} as users on users.user_id = entries.user_id
left join {{ ref('game_types') }} as games on games.game_type = entries.game_type
left join {{ ref('places') }} as places on places.place_key = entries.place_key
