-- Names are not unique on Earth: of those that are the same, the one with the lowest id stands for all.
select distinct on ({{ place_key('name') }})
    {{ place_key('name') }} as place_key,
    place_id,
    btrim(name) as place,
    country_iso_a3,
    country,
    continent,
    longitude,
    latitude
from {{ source('raw', 'places') }}
where {{ place_key('name') }} is not null
order by {{ place_key('name') }}, place_id
