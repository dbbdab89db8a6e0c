select
    day,
    game_type,
    is_digital,
    count(*) as entries,
    count(distinct user_id) as players,
    sum(minutes::numeric)::double precision as minutes,
    avg(mood::numeric)::double precision as avg_mood,
    count(distinct country) as countries,
    count(*) filter (where place is null) as entries_without_place
from {{ ref('located_entries') }}
group by day, game_type, is_digital
