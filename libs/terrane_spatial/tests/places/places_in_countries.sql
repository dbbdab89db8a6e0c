-- Each place with the country it lies in, or with the one whose coast is within 15 km: coasts are drawn that coarsely.
create index on countries using gist (geometry);
analyze countries;

create unlogged table out_places as
select
    ('x' || left(md5(p.name || ' ' || st_asewkt(p.geometry, 7)), 13))::bit(52)::bigint as place_id,
    p.name,
    c.iso_a3 as country_iso_a3,
    c.name as country,
    c.continent,
    st_x(p.geometry) as longitude,
    st_y(p.geometry) as latitude,
    p.geometry
from places as p
left join lateral (
    select n.iso_a3, n.name, n.continent
    from countries as n
    where
        n.geometry && st_expand(p.geometry, 0.5)
        and (st_intersects(n.geometry, p.geometry) or st_dwithin(n.geometry::geography, p.geometry::geography, 15000))
    order by st_distance(n.geometry, p.geometry), n.name
    limit 1
) as c on true;

insert into _tally (table_name, outcome, reason, rows)
select 'places', 'kept', 'in no country', count(*) from out_places as o where o.country is null;
