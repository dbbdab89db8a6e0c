-- Each place with the country it lies in, or with the one whose coast is within 15 km: coasts are drawn that coarsely.
create unlogged table out_places as
select
    ('x' || left(md5(s.name || ' ' || st_asewkt(s.geometry, 7)), 13))::bit(52)::bigint as place_id,
    s.name,
    c.iso_a3 as country_iso_a3,
    c.name as country,
    c.continent,
    st_x(s.geometry) as longitude,
    st_y(s.geometry) as latitude,
    s.geometry
from places_staged as s
left join lateral (
    select n.iso_a3, n.name, n.continent
    from out_countries as n
    where
        n.geometry && st_expand(s.geometry, 0.5)
        and (st_intersects(n.geometry, s.geometry) or st_dwithin(n.geometry::geography, s.geometry::geography, 15000))
    order by st_distance(n.geometry, s.geometry), n.name
    limit 1
) as c on true
where s.fault is null and not s.is_duplicate;

insert into _tally (table_name, outcome, reason, rows)
select 'places', 'kept', 'in no country', count(*) from out_places as o where o.country is null;
