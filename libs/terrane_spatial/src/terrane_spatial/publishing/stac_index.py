"""A dataset's collection and index: a STAC collection, and its items in stac-geoparquet, made of the commits.

Both are made beside the runs that publish, by whoever asks for it: only items of batches that are new are read, rows of
batches that are gone are taken out, and what was lost or cannot be read is made anew. Each object is replaced by
compare-and-swap, from a list of commits taken after the object was read: of writers side by side, the last has seen
what the others had.

A call costs a listing of the commits, one request a thousand, two reads a batch that is new, and reading and writing
the index, some 300 bytes a batch, of which retention keeps as many as it should. stac-geoparquet's own writer takes
geopandas and pandas along, which nothing else in the image needs; the tests let it judge what is written here.

The format: https://github.com/stac-utils/stac-geoparquet/blob/main/spec/stac-geoparquet-spec.md

Arrow, obstore, shapely and pyproj are imported where they are used: definitions import this module, and start 0.3 s
sooner without them.
"""

from __future__ import annotations

import io
import json
import logging
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from terrane.object_store.compare_and_swap import replace
from terrane.publishing import Commit, CommitTooNew, CommitUnreadable
from terrane_spatial import antimeridian
from terrane_spatial.publishing.geoparquet import EDGES, GEOMETRY, VERSION
from terrane_spatial.publishing.stac import COLLECTION_FILE, INDEX_FILE, INDEX_FOLDER, ITEM_FILE, PARQUET_TYPE

if TYPE_CHECKING:
    import pyarrow as pa

    from terrane.object_store import Bucket

STAC_GEOPARQUET_VERSION = "1.0.0"
STAC_VERSION = "1.1.0"
READERS = 16
# The ETag of the commit from which a row was made.
COMMIT = "terrane:commit"
# All items are in the index; a collection that links to each of them would be read and written whole for every batch.
MAX_LINKS = 1000
Item = dict[str, Any]

log = logging.getLogger(__name__)


def refresh(lake: Bucket, dataset: str, description: str) -> int:
    """Brings the dataset's collection and index up to what is published now; returns how many items they have."""
    import obstore

    folder = f"{dataset}/{INDEX_FOLDER}"
    made = replace(lake, f"{folder}/{INDEX_FILE}", lambda before: _index(lake, dataset, description, before))
    if made is None:
        return 0

    def collection(_: bytes | None) -> bytes:
        # Read again each time, so that who writes the collection last has seen the index written last.
        table = _read(bytes(obstore.get(lake, f"{folder}/{INDEX_FILE}").bytes()))
        return json.dumps(collection_of(dataset, description, table), indent=2, ensure_ascii=False).encode()

    replace(lake, f"{folder}/{COLLECTION_FILE}", collection)
    return _read(made).num_rows


def _index(lake: Bucket, dataset: str, description: str, before: bytes | None) -> bytes | None:
    """The index as it should be; None where it is that already, or nothing is published."""
    commits = _commits(lake, dataset)
    try:
        table = _read(before) if before else None
        known = dict(zip(table["id"].to_pylist(), table[COMMIT].to_pylist(), strict=True)) if table else {}
    except Exception as error:
        log.warning("the index of %s cannot be read and is made anew of the commits: %s", dataset, error)
        table, known = None, {}
    new = {key: etag for batch_id, (key, etag) in commits.items() if known.get(batch_id) != etag}
    gone = [batch_id for batch_id in known if commits.get(batch_id, ("", ""))[1] != known[batch_id]]
    if table is not None and not new and not gone:
        return None
    items = _read_items(lake, dataset, new)
    if table is not None and not items and not gone:
        return None
    kept = [_without(table, gone)] if table is not None else []
    try:
        merged = _merged([*kept, *([_table(items)] if items else [])])
    except Exception as error:
        if table is None:
            raise
        log.warning("the index of %s does not go with its new items and is made anew: %s", dataset, error)
        return _index(lake, dataset, description, None)
    return _parquet(merged, dataset, description) if merged is not None else None


def _commits(lake: Bucket, dataset: str) -> dict[str, tuple[str, str]]:
    """The key and ETag of every commit, by batch_id."""
    import obstore

    found = {}
    for page in obstore.list(lake, prefix=f"{dataset}/_commits/"):
        for entry in page:
            key = str(entry["path"])
            if key.endswith(".json"):
                found[posixpath.basename(key).removesuffix(".json")] = (key, str(entry["e_tag"]))
    return found


def _read_items(lake: Bucket, dataset: str, commits: Mapping[str, str]) -> list[Item]:
    """The items of these commits, with references relative to the index's folder; unreadable ones are left out."""
    import obstore

    def read(key: str) -> Item | None:
        try:
            commit = Commit.from_json(bytes(obstore.get(lake, key).bytes()), key)
            place = commit.object(ITEM_FILE).key
            item = json.loads(bytes(obstore.get(lake, place).bytes()))
            moved = _moved(item, place, f"{dataset}/{INDEX_FOLDER}")
        except (CommitTooNew, CommitUnreadable, FileNotFoundError, KeyError, ValueError) as error:
            log.warning("%s is left out of the index of %s: %s", key, dataset, error)
            return None
        return {**moved, "properties": {**moved["properties"], COMMIT: commits[key]}}

    with ThreadPoolExecutor(READERS) as readers:
        return [item for item in readers.map(read, commits) if item]


def collection_of(dataset: str, description: str, table: pa.Table) -> dict[str, Any]:
    """The STAC collection of the index's items, which are at least one; it links to the newest of them."""
    pc = _compute()

    times = pc.min_max(table["datetime"])
    newest = table.slice(max(0, table.num_rows - MAX_LINKS)).select(["id", "links"]).to_pylist()
    return {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "id": dataset,
        "description": description,
        "license": "other",
        "extent": {
            "spatial": {"bbox": [_box_around(table["bbox"])]},
            "temporal": {"interval": [[_iso(times["min"].as_py()), _iso(times["max"].as_py())]]},
        },
        "links": [
            {"rel": "item", "href": _link(row, "self"), "type": "application/geo+json", "title": row["id"]}
            for row in newest
        ],
        "assets": {
            "items": {
                "href": f"./{INDEX_FILE}",
                "type": PARQUET_TYPE,
                "roles": ["collection-mirror"],
                "title": "All items, as stac-geoparquet",
            }
        },
    }


def _box_around(boxes: pa.ChunkedArray) -> list[float]:
    """West, south, east, north of all boxes; across 180 degrees only where one of them crosses it."""
    pc = _compute()
    edges = {edge: pc.struct_field(boxes, edge) for edge in EDGES}
    if pc.any(pc.greater(edges["xmin"], edges["xmax"])).as_py():
        return list(antimeridian.union(tuple(box[edge] for edge in EDGES) for box in boxes.to_pylist()))
    return [pc.min_max(edges[edge])["min" if "min" in edge else "max"].as_py() for edge in EDGES]


def _parquet(table: pa.Table, dataset: str, description: str) -> bytes:
    """The items as stac-geoparquet: a row each, properties as columns, geometry as WKB."""
    import pyarrow.parquet as pq

    collection = {**collection_of(dataset, description, table), "links": []}
    meta = {
        "geo": json.dumps(_geo()),
        "stac-geoparquet": json.dumps({"version": STAC_GEOPARQUET_VERSION, "collections": {dataset: collection}}),
    }
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(meta), sink, compression="zstd")
    return sink.getvalue()


def _read(index: bytes) -> pa.Table:
    import pyarrow.parquet as pq

    # In this thread alone: a thread of Arrow's that lets go of these bytes while Python ends aborts the process.
    return pq.ParquetFile(io.BytesIO(index), pre_buffer=False).read(use_threads=False)


def _compute() -> Any:
    """pyarrow.compute, whose functions are made at import: a type checker knows none of them."""
    import pyarrow.compute

    return pyarrow.compute


def _without(table: pa.Table, batch_ids: Sequence[str]) -> pa.Table:
    import pyarrow as pa

    pc = _compute()
    return table.filter(pc.invert(pc.is_in(table["id"], pa.array(batch_ids, pa.string()))))


def _merged(tables: Sequence[pa.Table]) -> pa.Table | None:
    """The rows by their data's time, None without any. A field that one table lacks is null in its rows."""
    import pyarrow as pa

    plain = [table.replace_schema_metadata(None) for table in tables if table.num_rows]
    if not plain:
        return None
    return pa.concat_tables(plain, promote_options="permissive").sort_by(
        [("datetime", "ascending"), ("id", "ascending")]
    )


def _moved(item: Item, place: str, folder: str) -> Item:
    """The item as it reads in another folder: with a link to itself, its references leading to the same objects."""
    here = posixpath.dirname(place)

    def href(old: str) -> str:
        return posixpath.relpath(posixpath.normpath(posixpath.join(here, old)), folder)

    links = [{**link, "href": href(link["href"])} for link in item["links"]]
    links.append({"rel": "self", "href": href(posixpath.basename(place)), "type": "application/geo+json"})
    assets = {name: {**asset, "href": href(asset["href"])} for name, asset in item["assets"].items()}
    return {**item, "links": links, "assets": assets}


def _link(item: Item, rel: str) -> str:
    return next(link["href"] for link in item["links"] if link["rel"] == rel)


def _table(items: Iterable[Item]) -> pa.Table:
    import pyarrow as pa

    rows = [_row(item) for item in items]
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: _column(name, [row.get(name) for row in rows]) for name in names}
    return pa.table({name: column for name, column in columns.items() if not pa.types.is_null(column.type)})


def _row(item: Item) -> dict[str, Any]:
    import shapely

    plain = {name: value for name, value in item.items() if name != "properties"}
    plain["assets"] = {name: _with_numbers(asset) for name, asset in item["assets"].items()}
    geometry = shapely.to_wkb(shapely.from_geojson(json.dumps(item["geometry"])))
    return {
        **plain,
        **item["properties"],
        "bbox": dict(zip(EDGES, map(float, item["bbox"]), strict=True)),
        GEOMETRY: geometry,
    }


def _with_numbers(asset: Mapping[str, Any]) -> Mapping[str, Any]:
    """The asset with every nodata a number: a column has one type, and JSON writes NaN as text."""
    if "raster:bands" not in asset:
        return asset
    bands = [band | ({"nodata": float(band["nodata"])} if "nodata" in band else {}) for band in asset["raster:bands"]]
    return {**asset, "raster:bands": bands}


def _column(name: str, values: list[Any]) -> pa.Array:
    import pyarrow as pa

    if name == "datetime":
        return pa.array([datetime.fromisoformat(value) for value in values], pa.timestamp("us", "UTC"))
    if name == GEOMETRY:
        return pa.array(values, pa.binary())
    return pa.array(values)


def _geo() -> dict[str, Any]:
    import pyproj

    column = {
        "encoding": "WKB",
        # That of every item is the box around its batch.
        "geometry_types": ["Polygon"],
        "crs": pyproj.CRS.from_user_input("OGC:CRS84").to_json_dict(),
        "covering": {"bbox": {edge: ["bbox", edge] for edge in EDGES}},
    }
    return {"version": VERSION, "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
