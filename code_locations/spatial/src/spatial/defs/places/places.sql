-- Places: points in degrees, one row for each name and position.
create unlogged table places_staged as
with
    in_degrees as (
        select
            p.ctid as line,
            nullif(trim(p.name), '') as name,
            st_transform(
                case
                    when st_geometrytype(p.geometry) = 'ST_MultiPoint' and st_numgeometries(p.geometry) = 1
                        then st_geometryn(p.geometry, 1)
                    else p.geometry
                end,
                4326
            ) as geometry
        from places as p
    ),
    judged as (
        select
            d.*,
            case
                when d.geometry is null or st_isempty(d.geometry) then 'no geometry'
                when st_geometrytype(d.geometry) <> 'ST_Point' then 'not a point'
                when not (d.geometry @ st_makeenvelope(-180, -90, 180, 90, 4326)) then 'not on Earth'
                when d.name is null then 'no name'
            end as fault
        from in_degrees as d
    )
select
    j.*,
    j.fault is null
    and row_number() over (
        partition by j.fault is null, j.name, st_asbinary(st_snaptogrid(j.geometry, 0.0000001)) order by j.line
    ) > 1 as is_duplicate
from judged as j;

insert into _tally (table_name, outcome, reason, rows)
select 'places', 'dropped', s.fault, count(*) from places_staged as s where s.fault is not null group by s.fault
union all
select 'places', 'duplicate', 'the same name within a centimetre', count(*) from places_staged as s where s.is_duplicate;
