"""A small map of a batch, to be looked at: land, borders and points on a grid of meridians and parallels.

Pillow is imported where it is used: most processes that import this module draw nothing.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from terrane_spatial import antimeridian

if TYPE_CHECKING:
    import psycopg
    from PIL.Image import Image

WIDTH_PX = 960
OVERSAMPLING = 3
COLOURS = 48
MARGIN = 0.03
MIN_SPAN_DEG = 0.02
MAX_ROWS = 20_000
POINT_RADIUS_PX = 2.1
SEA, LAND, BORDER, GRID, POINT, HALO = "#eef3f7", "#d9dfc9", "#9aa58a", "#dde6ee", "#c0392b", "#ffffff"

RINGS = """
with shapes as (
    select geometry, st_area(geometry) as area from "{table}" where not st_isempty(geometry) order by area desc limit %s
), largest as (
    select row_number() over (order by area desc) as n, st_simplifypreservetopology(geometry, %s) as geometry
    from shapes
), parts as (
    select n, (st_dump(geometry)).* from largest
)
select array_agg(st_x(p.geom) order by p.path), array_agg(st_y(p.geom) order by p.path)
from parts l, st_dumppoints(st_exteriorring(l.geom)) p
where st_geometrytype(l.geom) = 'ST_Polygon'
group by l.n, l.path order by l.n, l.path
"""

Ring = list[tuple[float, float]]


def draw(connection: psycopg.Connection, polygons: str | None, points: str | None) -> bytes:
    """A PNG of two tables of the run's schema, whose geometry is in degrees: polygons below, points above."""
    areas = _rings(connection, polygons) if polygons else []
    dots = _points(connection, points) if points else []
    areas, dots = _unrolled(areas, dots)
    frame = _frame([p for ring in areas for p in ring] + dots)
    return _png(_paint(areas, dots, frame))


def _rings(connection: psycopg.Connection, table: str) -> list[Ring]:
    """The outer rings of the largest shapes, drawn more coarsely: PostGIS takes them apart, and numbers come here."""
    extent = f'select st_extent(geometry)::box3d as e from "{table}"'  # noqa: S608
    span = connection.execute(f"select st_xmax(e) - st_xmin(e) from ({extent}) b".encode()).fetchone()  # noqa: S608
    tolerance = float(span[0] if span and span[0] else 1) / (WIDTH_PX * OVERSAMPLING)
    query = RINGS.format(table=table).encode()
    return [list(zip(xs, ys, strict=True)) for xs, ys in connection.execute(query, [MAX_ROWS, tolerance])]


def _points(connection: psycopg.Connection, table: str) -> Ring:
    shapes = f'select st_pointonsurface(geometry) as p from "{table}" where not st_isempty(geometry)'  # noqa: S608
    query = f"select st_x(p), st_y(p) from ({shapes} order by geometry limit %s) s"  # noqa: S608
    rows = connection.execute(query.encode(), [MAX_ROWS]).fetchall()
    return [(float(x), float(y)) for x, y in rows]


def _unrolled(areas: list[Ring], dots: Ring) -> tuple[list[Ring], Ring]:
    """What lies on both sides of 180 degrees side by side, the east of it counted on beyond 180."""
    spans = [(min(x for x, _ in part), max(x for x, _ in part)) for part in (*areas, *([dot] for dot in dots)) if part]
    west, east = antimeridian.around(spans) if spans else (0.0, 0.0)
    if west <= east:
        return areas, dots

    def moved(ring: Ring) -> Ring:
        beyond = all(x <= east for x, _ in ring)
        return [(x + antimeridian.WORLD, y) for x, y in ring] if beyond else ring

    return [moved(ring) for ring in areas], [moved([dot])[0] for dot in dots]


def _frame(points: Sequence[tuple[float, ...]]) -> tuple[float, float, float, float]:
    """What the map shows, in degrees: all of the data with a margin, beyond the world only where the data is."""
    if not points:
        return -180.0, -90.0, 180.0, 90.0
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    pad = max(max(xs) - min(xs), max(ys) - min(ys), MIN_SPAN_DEG) * MARGIN
    west, east = max(min(xs) - pad, min(-180.0, *xs)), min(max(xs) + pad, max(180.0, *xs))
    return west, max(min(ys) - pad, -90.0), east, min(max(ys) + pad, 90.0)


def _paint(areas: list[Ring], dots: Ring, frame: tuple[float, float, float, float]) -> Image:
    from PIL import Image, ImageDraw

    west, south, east, north = frame
    scale = WIDTH_PX * OVERSAMPLING / (east - west)
    height = min(max(round((north - south) * scale), WIDTH_PX), 4 * WIDTH_PX * OVERSAMPLING)
    image = Image.new("RGB", (WIDTH_PX * OVERSAMPLING, height), SEA)
    pen = ImageDraw.Draw(image)

    def place(point: tuple[float, ...]) -> tuple[float, float]:
        return (point[0] - west) * scale, (north - point[1]) * scale

    for ring in areas:
        pen.polygon([place(p) for p in ring], fill=LAND)
    step = _grid_step(east - west)
    for number in range(math.ceil(west / step), math.floor(east / step) + 1):
        pen.line([place((number * step, south)), place((number * step, north))], fill=GRID, width=OVERSAMPLING)
    for number in range(math.ceil(south / step), math.floor(north / step) + 1):
        pen.line([place((west, number * step)), place((east, number * step))], fill=GRID, width=OVERSAMPLING)
    for ring in areas:
        pen.line([place(p) for p in ring], fill=BORDER, width=2, joint="curve")
    for radius, colour in ((POINT_RADIUS_PX + 1, HALO), (POINT_RADIUS_PX, POINT)):
        for x, y in map(place, dots):
            reach = radius * OVERSAMPLING
            pen.ellipse([x - reach, y - reach, x + reach, y + reach], fill=colour)
    return image.resize((WIDTH_PX, round(height / OVERSAMPLING)), Image.Resampling.LANCZOS)


def _grid_step(span: float) -> float:
    """Degrees between grid lines: about twelve lines across, at round numbers."""
    rough = span / 12
    power = 10 ** math.floor(math.log10(rough))
    return next((s * power for s in (1, 2, 3, 5) if s * power >= rough), 10 * power)


def _png(image: Image) -> bytes:
    sink = io.BytesIO()
    image.quantize(COLOURS).save(sink, "PNG", optimize=True)
    return sink.getvalue()
