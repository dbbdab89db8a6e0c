-- Countries: repaired, in degrees, cut to the world, one row for each name and shape.
create unlogged table countries_staged as
with
    in_degrees as (
        select
            c.ctid as line,
            nullif(trim(c.name), '') as name,
            nullif(trim(c.iso_a3), '-99') as iso_a3,
            nullif(trim(c.continent), '') as continent,
            c.pop_est::double precision as population,
            not st_isvalid(c.geometry) as is_invalid,
            st_transform(
                st_collectionextract(st_makevalid(st_curvetoline(c.geometry)), 3), 4326
            ) as geometry
        from countries as c
    ),
    in_the_world as (
        select
            d.line, d.name, d.iso_a3, d.continent, d.population, d.is_invalid,
            not (d.geometry @ st_makeenvelope(-180, -90, 180, 90, 4326)) as sticks_out,
            case
                when d.geometry @ st_makeenvelope(-180, -90, 180, 90, 4326) then st_multi(d.geometry)
                else st_multi(
                    st_collectionextract(st_intersection(d.geometry, st_makeenvelope(-180, -90, 180, 90, 4326)), 3)
                )
            end as geometry
        from in_degrees as d
    ),
    judged as (
        select
            w.*,
            case
                when w.geometry is null then 'no geometry'
                when st_isempty(w.geometry) then 'no area on Earth'
                when w.name is null then 'no name'
            end as fault
        from in_the_world as w
    )
select
    j.*,
    j.fault is null
    and row_number() over (
        partition by j.fault is null, j.name, j.iso_a3, st_asbinary(st_normalize(j.geometry)) order by j.line
    ) > 1 as is_duplicate
from judged as j;

insert into _tally (table_name, outcome, reason, rows)
select 'countries', 'dropped', s.fault, count(*) from countries_staged as s where s.fault is not null group by s.fault
union all
select 'countries', 'duplicate', 'the same name and shape', count(*) from countries_staged as s where s.is_duplicate
union all
select 'countries', 'repaired', 'invalid rings', count(*)
from countries_staged as s where s.is_invalid and s.fault is null and not s.is_duplicate
union all
select 'countries', 'repaired', 'cut at the edge of the world', count(*)
from countries_staged as s where s.sticks_out and s.fault is null and not s.is_duplicate;

create unlogged table out_countries as
select s.name, s.iso_a3, s.continent, s.population, s.geometry
from countries_staged as s
where s.fault is null and not s.is_duplicate;

create index on out_countries using gist (geometry);
analyze out_countries;
