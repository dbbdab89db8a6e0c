select
    id as game_type_id,
    slug as game_type,
    name,
    is_digital
from {{ source('raw', 'game_types') }}
