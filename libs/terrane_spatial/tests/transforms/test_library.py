"""The step library on real PostGIS: what each step makes of rows, and that every row stays accounted for."""

from __future__ import annotations

import pytest
from psycopg import sql
from step_bench import Bench

from terrane_spatial.errors import StageError
from terrane_spatial.transforms import apply_step
from terrane_spatial.transforms.library.combining import SpatialJoin
from terrane_spatial.transforms.parsing import LIBRARY

pytestmark = pytest.mark.integration

SQUARE = "POLYGON((0 0,10 0,10 10,0 10,0 0))"
SAME_SQUARE = "POLYGON((10 10,0 10,0 0,10 0,10 10))"
BOW_TIE = "POLYGON((20 0,30 10,30 0,20 10,20 0))"
FAR_SQUARE = "POLYGON((50 50,60 50,60 60,50 60,50 50))"
NAME = {"name": "text"}


def test_select_renames_trims_casts_and_empties(bench: Bench) -> None:
    columns = {"NAME": "text", "code": "text", "pop": "bigint", "left out": "text"}
    bench.table("t", columns, [(" Bern ", "-99", 5, "x", SQUARE), ("", " BE", None, "y", None)])
    bench.apply(
        "select",
        table="t",
        columns={"name": "NAME", "code": "code", "population": {"from": "pop", "type": "double precision"}},
        empty=["", "-99"],
    )
    assert sorted(bench.rows("t"), key=str) == [("Bern", None, 5.0), (None, "BE", None)]
    assert isinstance(bench.rows("t", "population")[0][0], float)
    assert bench.balance("t").holds


def test_require_drops_what_lacks_a_value_or_a_geometry_and_says_which(bench: Bench) -> None:
    bench.table("t", NAME, [("a", SQUARE), (None, SQUARE), ("b", None), ("c", "POLYGON EMPTY"), (None, None)])
    bench.apply("require", table="t", columns=["name"])
    assert bench.rows("t") == [("a",)]
    assert bench.told("t") == {("dropped", "no geometry"): 3, ("dropped", "no name"): 1}
    assert bench.balance("t").holds


def test_require_can_leave_rows_without_geometry(bench: Bench) -> None:
    bench.table("t", NAME, [("a", None), (None, SQUARE)])
    bench.apply("require", table="t", columns=["name"], geometry=False)
    assert bench.rows("t") == [("a",)]


def test_repair_makes_valid_simple_geometries_and_counts_them(bench: Bench) -> None:
    rows = [
        ("good", SQUARE),
        ("tie", BOW_TIE),
        ("curve", "CURVEPOLYGON(CIRCULARSTRING(0 0,4 0,4 4,0 4,0 0))"),
        ("surface", "POLYHEDRALSURFACE(((0 0,0 1,1 1,0 0)))"),
        ("flat", "POLYGON((0 0,5 0,0 0,0 0))"),
        ("none", None),
        ("empty", "POLYGON EMPTY"),
    ]
    bench.table("t", NAME, rows)
    bench.apply("repair", table="t")
    found = dict(bench.rows("t", "name", "st_geometrytype(geometry)"))
    assert found == {"good": "ST_Polygon", "tie": "ST_MultiPolygon", "curve": "ST_Polygon"}
    assert bench.rows("t", "bool_and(st_isvalid(geometry))") == [(True,)]
    assert bench.told("t") == {
        ("repaired", "invalid geometry"): 1,
        ("repaired", "curves made lines"): 1,
        ("dropped", "a surface in three dimensions"): 1,
        ("dropped", "nothing left of it"): 1,
        ("dropped", "no geometry"): 2,
    }
    assert bench.balance("t").holds


def test_repair_keeps_one_kind_out_of_collections(bench: Bench) -> None:
    mixed = f"GEOMETRYCOLLECTION(POINT(1 1),{SQUARE},LINESTRING(0 0,1 1))"
    bench.table("t", NAME, [("mixed", mixed), ("line", "LINESTRING(0 0,1 1)")])
    bench.apply("repair", table="t", keep="polygons", parts="multi")
    assert bench.rows("t", "name", "st_geometrytype(geometry)", "st_area(geometry)") == [
        ("mixed", "ST_MultiPolygon", 100)
    ]
    assert bench.told("t") == {("dropped", "no polygons in it"): 1}


def test_repair_takes_the_only_part_and_drops_rows_of_several(bench: Bench) -> None:
    bench.table("t", NAME, [("one", "MULTIPOINT(1 1)"), ("plain", "POINT(2 2)"), ("two", "MULTIPOINT(1 1,2 2)")])
    bench.apply("repair", table="t", keep="points", parts="one")
    assert bench.rows("t", "name", "st_geometrytype(geometry)") == [("one", "ST_Point"), ("plain", "ST_Point")]
    assert bench.told("t") == {("dropped", "several parts"): 1}


def test_repair_leaves_a_valid_collection_as_it_is(bench: Bench) -> None:
    bench.table("t", NAME, [("mixed", f"GEOMETRYCOLLECTION(POINT(1 1),{SQUARE})")])
    bench.apply("repair", table="t")
    assert bench.rows("t", "st_numgeometries(geometry)") == [(2,)]


def test_reproject_moves_to_degrees_and_marks_the_column(bench: Bench) -> None:
    bench.table("t", NAME, [("a", "POINT(1113194.9079327357 0)"), ("none", None)], srid=3857)
    bench.apply("reproject", table="t")
    assert bench.rows("t", "name", "round(st_x(geometry)::numeric, 9)", "st_srid(geometry)")[0] == ("a", 10, 4326)
    column = "from pg_attribute where attrelid = 't'::regclass and attname = 'geometry'"
    assert bench.connection.execute(f"select postgis_typmod_srid(atttypmod) {column}".encode()).fetchone() == (4326,)
    assert bench.balance("t").holds


def test_reproject_drops_what_the_target_has_no_place_for(bench: Bench) -> None:
    bench.table("t", NAME, [("here", "POINT(10 50)"), ("none", None), ("mad", "POINT(1e6 1e6)")])
    bench.apply("reproject", table="t", to=3857)
    assert bench.rows("t") == [("here",), ("none",)]
    assert bench.told("t") == {("dropped", "outside of EPSG:3857"): 1}
    assert bench.balance("t").holds


def test_dedupe_finds_the_same_ring_whatever_vertex_it_begins_with(bench: Bench) -> None:
    bench.table("t", NAME, [("a", SQUARE), ("a", SAME_SQUARE), ("b", SQUARE), ("a", FAR_SQUARE)])
    bench.apply("dedupe", table="t", by=["name"])
    assert bench.rows("t") == [("a",), ("a",), ("b",)]
    assert bench.told("t") == {("duplicate", "the same name, geometry"): 1}
    assert bench.balance("t").holds


def test_dedupe_keeps_the_same_row_in_whatever_order_rows_come(bench: Bench) -> None:
    rows = [("a", 3, "z", "POINT(1 1)"), ("a", 1, "y", "POINT(2 2)"), ("a", 1, "x", "POINT(3 3)")]
    for number, order in enumerate((rows, rows[::-1])):
        bench.table(f"t{number}", {"name": "text", "rank": "int", "note": "text"}, order)
        bench.apply("dedupe", table=f"t{number}", by=["name"], geometry=False, order_by=["rank"])
        assert bench.rows(f"t{number}") == [("a", 1, "x")]


def test_dedupe_compares_within_a_tolerance(bench: Bench) -> None:
    bench.table("t", NAME, [("a", "POINT(1 1)"), ("a", "POINT(1.00000001 1)"), ("a", "POINT(1.001 1)")])
    bench.apply("dedupe", table="t", by=["name"], tolerance=0.0000001)
    assert bench.balance("t").duplicates == 1


def test_clip_cuts_at_bounds_and_drops_what_is_outside(bench: Bench) -> None:
    bench.table(
        "t",
        NAME,
        [
            ("in", "POINT(1 1)"),
            ("cut", SQUARE),
            ("out", FAR_SQUARE),
            ("touching", "POLYGON((5 0,6 0,6 1,5 0))"),
            ("none", None),
        ],
    )
    bench.apply("clip", table="t", bounds=[0, 0, 5, 5])
    assert bench.rows("t", "name", "st_area(geometry)") == [("cut", 25), ("in", 0)]
    assert bench.told("t") == {
        ("repaired", "cut at the bounds"): 1,
        ("dropped", "outside of the bounds"): 2,
        ("dropped", "no geometry"): 1,
    }
    assert bench.balance("t").holds


def test_clip_leaves_a_multi_geometry_one(bench: Bench) -> None:
    bench.table("t", NAME, [("m", "MULTIPOLYGON(((0 0,10 0,10 10,0 10,0 0)))"), ("s", SQUARE)])
    bench.apply("clip", table="t", bounds=[0, 0, 5, 5])
    assert bench.rows("t", "name", "st_geometrytype(geometry)") == [("m", "ST_MultiPolygon"), ("s", "ST_Polygon")]


def test_clip_to_a_table_brings_its_outline_into_the_same_system(bench: Bench) -> None:
    bench.table("t", NAME, [("in", "POINT(1 1)"), ("out", "POINT(40 40)")])
    mercator = "POLYGON((0 0,1113194.9 0,1113194.9 1118889.97,0 1118889.97,0 0))"
    bench.table("mask", NAME, [("m", mercator)], srid=3857)
    bench.apply("clip", table="t", to="mask", into="kept")
    assert bench.rows("kept") == [("in",)]
    assert len(bench.rows("t")) == 2
    assert bench.told("kept") == {("dropped", "outside of mask"): 1}
    assert bench.balance("kept").rows_in == 2
    assert bench.balance("kept").holds


def test_dissolve_merges_rows_of_the_same_values(bench: Bench) -> None:
    next_door = "POLYGON((10 0,20 0,20 10,10 10,10 0))"
    rows = [("a", 1, SQUARE), ("a", 2, next_door), ("b", 4, FAR_SQUARE), (None, 8, None)]
    bench.table("t", {"name": "text", "n": "int"}, rows)
    bench.apply("dissolve", table="t", by=["name"], aggregates={"total": {"sum": "n"}, "parts": "count"})
    assert bench.rows("t", "name", "total", "parts", "st_area(geometry)") == [
        ("a", 3, 2, 200), ("b", 4, 1, 100), (None, 8, 1, None),
    ]  # fmt: skip
    assert bench.told("t") == {("merged", "dissolved into another of the same name"): 1}
    assert bench.balance("t").holds


def test_dissolve_without_columns_makes_one_row_and_of_none_none(bench: Bench) -> None:
    bench.table("t", NAME, [("a", SQUARE), ("b", FAR_SQUARE)])
    bench.table("nothing", NAME, [])
    bench.apply("dissolve", table="t")
    bench.apply("dissolve", table="nothing")
    assert bench.rows("t", "st_area(geometry)") == [(200,)]
    assert bench.rows("nothing", "1") == []
    assert bench.balance("t").merged == 1
    assert bench.balance("nothing").holds


def test_simplify_leaves_vertices_out_and_counts_rows(bench: Bench) -> None:
    bent = "LINESTRING(0 0,5 0.001,10 0)"
    bench.table("t", NAME, [("bent", bent), ("straight", "LINESTRING(0 0,1 1)"), ("none", None)])
    bench.apply("simplify", table="t", tolerance=0.1)
    assert bench.rows("t", "name", "st_npoints(geometry)") == [("bent", 2), ("none", None), ("straight", 2)]
    assert bench.told("t") == {("simplified", "fewer vertices"): 1}
    assert bench.balance("t").holds


def test_simplify_without_topology_drops_what_vanishes(bench: Bench) -> None:
    bench.table("t", NAME, [("small", "POLYGON((0 0,0.1 0,0.1 0.1,0 0))"), ("large", SQUARE)])
    bench.apply("simplify", table="t", tolerance=1, preserve_topology=False)
    assert bench.rows("t") == [("large",)]
    assert bench.told("t") == {("dropped", "smaller than the tolerance"): 1}


def test_buffer_in_metres_is_a_circle_on_the_ellipsoid_in_any_system(bench: Bench) -> None:
    for number, (srid, centre) in enumerate(((4326, "POINT(7.44 46.95)"), (3857, "POINT(828217 5935000)"))):
        bench.table(f"t{number}", NAME, [("bern", centre)], srid=srid)
        bench.apply("buffer", table=f"t{number}", distance=1000, quadrant_segments=32)
        (area,) = bench.rows(f"t{number}", "st_area(st_transform(geometry, 4326)::geography)")[0]
        assert area == pytest.approx(3.14159 * 1000**2, rel=0.005)
        assert bench.rows(f"t{number}", "st_srid(geometry)") == [(srid,)]


def test_buffer_below_zero_drops_what_is_used_up(bench: Bench) -> None:
    bench.table("t", NAME, [("thin", "POLYGON((0 0,10 0,10 1,0 1,0 0))"), ("thick", SQUARE), ("none", None)])
    bench.apply("buffer", table="t", distance=-1, unit="units")
    assert bench.rows("t", "name", "st_area(geometry)") == [("thick", 64)]
    assert bench.told("t") == {("dropped", "nothing left of it"): 1, ("dropped", "no geometry"): 1}


def test_subdivide_counts_the_parts_it_makes(bench: Bench) -> None:
    circle = bench.connection.execute("select st_astext(st_buffer('POINT(0 0)'::geometry, 10, 64))").fetchone()
    assert circle
    bench.table("t", NAME, [("circle", circle[0]), ("square", SQUARE), ("none", None), ("empty", "POLYGON EMPTY")])
    bench.apply("subdivide", table="t", max_vertices=32)
    counts = dict(bench.rows("t", "name", "count(*) over (partition by name)"))
    assert (counts["square"], counts["none"], counts["empty"]) == (1, 1, 1)
    assert counts["circle"] > 8
    assert bench.balance("t").made == counts["circle"] - 1
    assert bench.balance("t").holds


def test_spatial_join_gives_each_row_the_columns_of_its_match(bench: Bench) -> None:
    points = [("in", "POINT(1 1)"), ("both", "POINT(8 8)"), ("far", "POINT(40 40)"), ("none", None)]
    bench.table("t", NAME, points)
    bench.table("zones", {"zone": "text"}, [("b", SQUARE), ("a", "POLYGON((7 7,12 7,12 12,7 12,7 7))")])
    bench.apply("spatial_join", table="t", with_="zones", columns={"zone": "zone"}, order_by=["zone"])
    assert bench.rows("t") == [("both", "a"), ("far", None), ("in", "b"), ("none", None)]
    assert bench.told("t") == {("kept", "matches none of zones"): 2, ("kept", "matches several of zones"): 1}
    assert bench.balance("t").holds


def test_spatial_join_can_drop_what_matches_nothing_and_make_a_row_of_each_match(bench: Bench) -> None:
    bench.table("t", NAME, [("both", "POINT(8 8)"), ("far", "POINT(40 40)")])
    bench.table("zones", {"zone": "text"}, [("b", SQUARE), ("a", "POLYGON((7 7,12 7,12 12,7 12,7 7))")])
    bench.apply(
        "spatial_join",
        table="t",
        with_="zones",
        columns={"zone": "zone"},
        matches="all",
        unmatched="drop",
        match="within",
    )
    assert bench.rows("t", "zone", "name") == [("a", "both"), ("b", "both")]
    assert (bench.balance("t").made, bench.balance("t").dropped) == (1, 1)
    assert bench.balance("t").holds


def test_spatial_join_within_a_distance_takes_the_nearest(bench: Bench) -> None:
    bench.table("t", NAME, [("p", "POINT(0 0)"), ("q", "POINT(100 0)")])
    bench.table("zones", {"zone": "text"}, [("far", "POINT(3 0)"), ("near", "POINT(0 2)")])
    bench.apply("spatial_join", table="t", with_="zones", columns={"zone": "zone"}, distance=5)
    assert bench.rows("t") == [("p", "near"), ("q", None)]


def test_spatial_join_counts_and_sums_what_lies_in_a_polygon(bench: Bench) -> None:
    bench.table("zones", NAME, [("a", SQUARE), ("b", FAR_SQUARE)])
    bench.table("points", {"n": "int", "x": "numeric"}, [(1, 0.5, "POINT(1 1)"), (2, 1.5, "POINT(2 2)"), (9, 9, None)])
    aggregates = {"rows": "count", "total": {"sum": "n"}, "mean": {"mean": "x"}, "top": {"max": "n"}}
    bench.apply("spatial_join", table="zones", with_="points", aggregates=aggregates)
    assert bench.rows("zones") == [("a", 2, 3, 1.0, 2), ("b", 0, None, None, None)]
    assert bench.balance("zones").holds


def test_spatial_join_goes_through_the_zones_and_looks_points_up_in_an_index(bench: Bench) -> None:
    bench.connection.execute(
        "create unlogged table points as select n, st_setsrid(st_makepoint(random() * 100, random() * 100), 4326)"
        "::geometry(Geometry, 4326) as geometry from generate_series(1, 20000) as n"
    )
    bench.connection.execute(
        "create unlogged table zones as select n, st_buffer(st_setsrid(st_makepoint(n, n), 4326), 3)"
        "::geometry(Geometry, 4326) as geometry from generate_series(1, 20) as n"
    )
    bench.connection.execute("create index on points using gist (geometry)")
    bench.connection.execute("analyze points")
    step = SpatialJoin.model_validate({"table": "points", "with": "zones", "columns": {"zone": "n"}})
    table, other = (apply_step.describe(bench.connection, name, "x") for name in ("points", "zones"))
    plan = bench.connection.execute(sql.SQL("explain {}").format(step.query(table, other))).fetchall()
    text = "\n".join(line for (line,) in plan)
    assert "Seq Scan on zones" in text
    assert "Index Scan using points_geometry_idx" in text or "Bitmap Index Scan on points_geometry_idx" in text


def test_spatial_join_of_different_systems_says_to_reproject(bench: Bench) -> None:
    bench.table("t", NAME, [("p", "POINT(0 0)")])
    bench.table("zones", NAME, [("z", SQUARE)], srid=3857)
    with pytest.raises(StageError, match="t is in EPSG:4326 and zones in EPSG:3857; put a step reproject before it"):
        bench.apply("spatial_join", table="t", with_="zones", columns={"zone": "name"})


def test_aggregate_to_grid_makes_a_row_of_each_cell_that_holds_something(bench: Bench) -> None:
    rows = [
        ("a", 1, "POINT(0.5 0.5)"),
        ("b", 2, "POINT(0.6 0.7)"),
        ("c", 4, "POINT(-0.1 5)"),
        ("d", 8, None),
        ("e", 16, "POINT EMPTY"),
    ]
    bench.table("t", {"name": "text", "n": "int"}, rows)
    bench.apply(
        "aggregate_to_grid", table="t", into="cells", cell=1, aggregates={"rows": "count", "total": {"sum": "n"}}
    )
    assert bench.rows("cells", "cell_x", "cell_y", "rows", "total", "st_astext(geometry)") == [
        (-1, 5, 1, 4, "POLYGON((-1 5,-1 6,0 6,0 5,-1 5))"),
        (0, 0, 2, 3, "POLYGON((0 0,0 1,1 1,1 0,0 0))"),
    ]
    assert bench.told("cells") == {("merged", "in a cell with others"): 1, ("dropped", "no geometry"): 2}
    assert (bench.balance("cells").rows_in, bench.balance("cells").rows_out) == (5, 2)
    assert bench.balance("cells").holds
    assert len(bench.rows("t")) == 5


def test_cells_side_by_side_share_their_edges_to_the_last_bit(bench: Bench) -> None:
    bench.table("t", NAME, [(str(i), f"POINT({0.05 + i * 0.1} 0.05)") for i in range(50)])
    bench.apply("aggregate_to_grid", table="t", cell=0.1)
    edges = bench.rows("t", "cell_x", "st_xmin(geometry)", "st_xmax(geometry)")
    assert [left[2] for left in edges[:-1]] == [right[1] for right in edges[1:]]


@pytest.mark.parametrize("name", sorted(LIBRARY))
def test_every_step_takes_names_that_need_quotes_and_a_table_of_no_rows(bench: Bench, name: str) -> None:
    odd = 'Straße "x"; drop table t; --'
    parameters = {
        "select": {"columns": {odd: odd}},
        "clip": {"bounds": [0, 0, 1, 1]},
        "simplify": {"tolerance": 1},
        "buffer": {"distance": 1},
        "aggregate_to_grid": {"cell": 1, "aggregates": {odd: {"min": odd}}},
        "spatial_join": {"with_": "other", "columns": {odd: odd}},
        "dissolve": {"by": [odd]},
        "dedupe": {"by": [odd], "order_by": [odd]},
        "require": {"columns": [odd]},
    }
    bench.table("t", {odd: "text"}, [])
    bench.table("other", {odd: "text"}, [])
    bench.apply(name, table="t", into="made", **parameters.get(name, {}))
    kept = [column.name for column in bench.connection.execute("select * from made").description or []]
    assert odd in kept
    assert bench.rows("t", "1") == []
    assert bench.balance("made").holds
