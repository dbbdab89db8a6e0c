"""A dataset's collection: a STAC collection and an index of its items in stac-geoparquet, made of the commits alone.

Whoever publishes a batch makes both anew, holding a lock of the dataset's in Postgres. A commit is there before its
publisher asks for the lock, so the last to hold it has seen them all, and what it writes last is complete. A run that
dies between its commit and the index leaves the index one batch short until the run is re-executed or the next batch
comes.

The format: https://github.com/stac-utils/stac-geoparquet/blob/main/spec/stac-geoparquet-spec.md
"""

from __future__ import annotations

import io
import json
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from terrane import names
from terrane.object_store import put
from terrane.postgres import PostgresResource
from terrane.publishing import Commit
from terrane_spatial.publishing.geoparquet import EDGES, GEOMETRY, VERSION
from terrane_spatial.publishing.stac import COLLECTION_FILE, INDEX_FILE, INDEX_FOLDER, ITEM_FILE, PARQUET_TYPE

if TYPE_CHECKING:
    import pyarrow as pa

    from terrane.object_store import Bucket

STAC_GEOPARQUET_VERSION = "1.0.0"
STAC_VERSION = "1.1.0"
READERS = 16
Item = dict[str, Any]


def refresh(postgres: PostgresResource, lake: Bucket, dataset: str, description: str) -> int:
    """Makes the dataset's collection and index of what is published now; returns how many items they have."""
    with _only_writer(postgres, dataset):
        items = read_items(lake, dataset)
        folder = f"{dataset}/{INDEX_FOLDER}"
        collection = collection_of(dataset, description, items)
        put(lake, f"{folder}/{INDEX_FILE}", parquet(items, collection))
        text = json.dumps(collection, indent=2, ensure_ascii=False).encode()
        put(lake, f"{folder}/{COLLECTION_FILE}", text)
    return len(items)


def read_items(lake: Bucket, dataset: str) -> list[Item]:
    """The items of all published batches, oldest first, their links and assets relative to the index's folder."""
    import obstore

    keys = [str(entry["path"]) for page in obstore.list(lake, prefix=f"{dataset}/_commits/") for entry in page]

    def read(key: str) -> Item:
        commit = Commit.from_json(bytes(obstore.get(lake, key).bytes()))
        place = commit.object(ITEM_FILE).key
        return _moved(json.loads(bytes(obstore.get(lake, place).bytes())), place, f"{dataset}/{INDEX_FOLDER}")

    with ThreadPoolExecutor(READERS) as readers:
        items = list(readers.map(read, (key for key in keys if key.endswith(".json"))))
    return sorted(items, key=lambda item: (item["properties"]["datetime"], item["id"]))


def collection_of(dataset: str, description: str, items: Sequence[Item]) -> dict[str, Any]:
    """The STAC collection of the items, which are at least one."""
    west, south, east, north = zip(*(item["bbox"] for item in items), strict=True)
    times = [item["properties"]["datetime"] for item in items]
    return {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "id": dataset,
        "description": description,
        "license": "other",
        "extent": {
            "spatial": {"bbox": [[min(west), min(south), max(east), max(north)]]},
            "temporal": {"interval": [[min(times), max(times)]]},
        },
        "links": [
            {"rel": "item", "href": _link(item, "self"), "type": "application/geo+json", "title": item["id"]}
            for item in items
        ],
        "assets": {
            "items": {
                "href": f"./{INDEX_FILE}",
                "type": PARQUET_TYPE,
                "roles": ["collection-mirror"],
                "title": "The items, as stac-geoparquet",
            }
        },
    }


def parquet(items: Sequence[Item], collection: Mapping[str, Any]) -> bytes:
    """The items as stac-geoparquet: a row each, properties as columns, geometry as WKB."""
    import pyarrow.parquet as pq

    table = _table(items)
    dataset = collection["id"]
    meta = {
        "geo": json.dumps(_geo(items)),
        "stac-geoparquet": json.dumps(
            {"version": STAC_GEOPARQUET_VERSION, "collections": {dataset: {**collection, "links": []}}}
        ),
    }
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(meta), sink, compression="zstd")
    return sink.getvalue()


@contextmanager
def _only_writer(postgres: PostgresResource, dataset: str) -> Iterator[None]:
    with postgres.connect(autocommit=True) as connection:
        connection.execute(
            "select pg_advisory_lock(hashtextextended(%s, 0))", [names.current().lock(f"index of {dataset}")]
        )
        yield


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


def _table(items: Sequence[Item]) -> pa.Table:
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


def _geo(items: Sequence[Item]) -> dict[str, Any]:
    import pyproj

    column = {
        "encoding": "WKB",
        "geometry_types": sorted({item["geometry"]["type"] for item in items}),
        "crs": pyproj.CRS.from_user_input("OGC:CRS84").to_json_dict(),
        "covering": {"bbox": {edge: ["bbox", edge] for edge in EDGES}},
    }
    return {"version": VERSION, "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
