select
    id as entry_id,
    user_id,
    created_at,
    game_type,
    {{ place_key('place') }} as place_key,
    mood,
    words,
    minutes
from {{ source('raw', 'journal_entries') }}
