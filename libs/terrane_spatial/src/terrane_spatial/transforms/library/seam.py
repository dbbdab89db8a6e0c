"""SQL that cuts at 180 degrees what crosses them after it was brought to degrees (RFC 7946, 3.1.9).

Each ring's own steps decide: one of more than half the world is taken the way on which its middle lies, in the system
it came from. A ring that goes around a pole is closed over it; what is wide and crosses nothing stays as it is.

It costs some passes over the points of a row that is wider than half the world, and of any other a look at its box.
The process that reads a file does the same for systems without a number (reading/child/degrees.py), which PostGIS does
not know; tests of both hold them to the same areas.
"""

from __future__ import annotations

TRY_TRANSFORM = "pg_temp.try_transform"
ON_BOTH_SIDES = "pg_temp.on_both_sides"

CAREFUL = f"""
create or replace function {TRY_TRANSFORM}(shape geometry, target integer) returns geometry
language plpgsql immutable strict as $$
begin
    return st_transform(shape, target);
exception when internal_error then
    return null;
end
$$
"""

CUT = """
create or replace function pg_temp.on_both_sides(own geometry, shape geometry) returns geometry
language sql immutable strict as $$
with leaf as (
    select n, d.geom, o.geom as own
    from st_dump(shape) with ordinality as d(path, geom, n)
    join st_dump(own) with ordinality as o(path, geom, n) using (n)
), place as (
    select l.n, case when cardinality(p.path) = 2 then p.path[1] else 1 end as ring, i,
        st_x(p.geom) as x, st_y(p.geom) as y, q.geom as own
    from leaf as l
    cross join lateral st_dumppoints(l.geom) with ordinality as p(path, geom, i)
    join lateral st_dumppoints(l.own) with ordinality as q(path, geom, j) on i = j
    where st_dimension(l.geom) > 0
), step as (
    select *, lag(x) over along as last_x, lag(y) over along as last_y, lag(own) over along as last_own
    from place window along as (partition by n, ring order by i)
), turned as (
    select *, case when abs(x - last_x) > 180 and not (abs(y) = 90 and abs(last_y) = 90) then
        case when abs(mod((st_x(pg_temp.try_transform(st_centroid(st_makeline(last_own, own)), 4326))
                - (x + last_x) / 2 + 540)::numeric, 360) - 180) > 90
            then -360 * sign(x - last_x) else 0 end
        else 0 end as turn
    from step
), counted as (
    select n, ring, i, y, turn, x + sum(turn) over (partition by n, ring order by i) as x from turned
), ring as (
    select n, ring, array_agg(st_makepoint(x, y) order by i) as places, bool_or(turn <> 0) as crosses,
        (array_agg(x order by i))[1] as first, (array_agg(x order by i desc))[1] as last,
        sign(avg(y)) * 90 as pole, (min(x) + max(x)) / 2 as middle
    from counted group by n, ring
), closed as (
    select n, ring, crosses, middle, st_makeline(case when abs(last - first) > 180
        then places || array[st_makepoint(last, pole), st_makepoint(first, pole), places[1]] else places end) as line
    from ring
), whole as (
    select l.n, st_dimension(l.geom) as dimension, case when st_dimension(l.geom) = 1 then o.line
        else st_difference(st_makevalid(st_makepolygon(o.line)), coalesce(h.holes, 'polygon empty')) end as geom
    from leaf as l
    join closed as o on o.n = l.n and o.ring = 1
    left join lateral (
        select st_union(st_makevalid(st_makepolygon(st_translate(c.line, 360 * round((o.middle - c.middle) / 360), 0))))
            as holes
        from closed as c where c.n = l.n and c.ring > 1
    ) as h on true
    where exists (select from closed as c where c.n = l.n and c.crosses)
), piece as (
    select n, st_collectionextract(st_translate(st_intersection(
        geom, st_makeenvelope(360 * world - 180, -90, 360 * world + 180, 90)), -360 * world, 0), dimension + 1) as geom
    from whole cross join generate_series(-1, 1) as world
), part as (
    select (st_dump(st_setsrid(st_union(geom), 4326))).geom from piece where not st_isempty(geom) group by n
    union all
    select geom from leaf where n not in (select n from whole)
)
select case when exists (select from whole) then (select st_collect(geom) from part) else shape end
$$
"""
