select
    id as user_id,
    name,
    language,
    plan,
    created_at as signed_up_at,
    updated_at
from {{ source('raw', 'users') }}
