-- The end of the newest complete day. The clock has no say in it, so building again over the same rows gives the same rows.
select ((max(day) + 1)::timestamp at time zone 'UTC') as as_of
from {{ ref('located_entries') }}
