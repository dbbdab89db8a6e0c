"""Opening a file with the one GDAL driver that may open it: which layer, and what GDAL says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from terrane_spatial.reading.child.hearing import Hearing
from terrane_spatial.reading.child.opened import MAX_COLUMNS, ByHandError, Opened, is_wkb
from terrane_spatial.reading.child.records.dbase import declared_encoding
from terrane_spatial.reading.child.times import typed
from terrane_spatial.reading.source import Source
from terrane_spatial.sandbox.imports import import_pyogrio
from terrane_spatial.sandbox.protocol import RefusedError

pyogrio = import_pyogrio()
hearing = Hearing(pyogrio._io)
GDAL_ERRORS = (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.CRSError)
# Drivers whose format knows no other zone.
ALWAYS_UTC = ("GPKG",)
# Keys of GeoPackages that their writers make up, and that say nothing.
MADE_UP_KEYS = frozenset({"fid", "ogc_fid"})
# A generated file showed it: 38.947993261111236 is read as 38.94799326111124.
ROUNDED = {"GML": {"coordinates": "GDAL reads those of GML to the 15th digit, a billionth of a metre"}}
MAX_COUNTED_LAYERS = 30
ADVICE = re.compile(r"; It might help|\. It might help|, it might help", re.IGNORECASE)


@contextmanager
def open_source(source: Source, batch_rows: Any) -> Iterator[Opened]:
    """The layer as Arrow batches.

    Args:
        batch_rows: takes GDAL's count of features, which may be wrong, and says how many rows a batch should have.

    Raises:
        RefusedError: the file is not to be had, or not in one piece; also while batches are read.
    """
    _refuse_other_drivers(source)
    encoding, told = encoding_of(source)
    options = {**source.options, "encoding": encoding}
    if source.driver == "CSV" and encoding and not _is_utf_8(encoding):
        raise ByHandError(f"its text is {encoding}")
    with_keys = source.driver == "GPKG"
    try:
        layer = _choose_layer(source)
        info = pyogrio.read_info(source.path, layer=layer, **options)
        rows = batch_rows(info["features"])
        how = {"batch_size": rows, "use_pyarrow": True, "datetime_as_string": source.driver not in ALWAYS_UTC}
        hearing.forget()
        with pyogrio.open_arrow(source.path, layer=layer, return_fids=with_keys, **how, **options) as found:
            meta, reader = found
            named = _with_names_of_their_own(reader.schema)
            batches = (_renamed(batch, named) for batch in reader)
            schema, batches = typed(named, _sound(batches, source), source.times)
            facts = _facts(layer, info, meta, schema)
            facts["encoding"] = told or ("UTF-8" if _is_utf_8(info["encoding"] or "") else None)
            yield Opened({**facts, **(_key(meta, schema) if with_keys else {})}, schema, batches)
    except GDAL_ERRORS as error:
        raise _refusal(error, source) from None
    except UnicodeDecodeError:
        raise ByHandError("a name or a text of it is cut within a letter, or is not UTF-8") from None


def describe(source: Source) -> tuple[str, dict[str, Any]]:
    """The layer that is wanted, and what GDAL says of it, its names apart, which may be no text."""
    _refuse_other_drivers(source)
    try:
        layer = _choose_layer(source)
        options = {**source.options, **({"encoding": "ISO-8859-1"} if source.driver == "ESRI Shapefile" else {})}
        try:
            return layer, pyogrio.read_info(source.path, layer=layer, **options)
        except UnicodeDecodeError:
            return layer, {"crs": None, "geometry_type": None}
    except GDAL_ERRORS as error:
        raise _refusal(error, source) from None


def with_layer(source: Source, layer: str) -> Source:
    return source._replace(layer=layer)


def encoding_of(source: Source) -> tuple[str | None, str | None]:
    """The encoding to read text in, where GDAL has to be told; and what the file, or else the manifest, calls it."""
    if source.encoding or source.driver != "ESRI Shapefile":
        return source.encoding, source.encoding
    told, codec = declared_encoding(Path(source.path))
    return (None if codec is None or _is_utf_8(codec) else codec), told


def _is_utf_8(name: str) -> bool:
    return name.upper().replace("-", "").replace("_", "") == "UTF8"


def _refuse_other_drivers(source: Source) -> None:
    extra = set(pyogrio.list_drivers()) - {source.driver}
    if extra:
        raise RuntimeError(f"GDAL has drivers it must not have here: {', '.join(sorted(extra))}")


def _key(meta: dict[str, Any], schema: Any) -> dict[str, Any]:
    """The column of the rows' keys, and whether it says anything, so that it is a column of the layer."""
    name = next((n for n in (meta.get("fid_column"), "OGC_FID") if n and n in schema.names), None)
    if name is None:
        return {}
    made_up = name.lower() in MADE_UP_KEYS
    return {"key": name, "key_hidden": made_up or not meta.get("fid_column")}


def _with_names_of_their_own(schema: Any) -> Any:
    """The schema; of columns of one name, as a geometry and its text in a CSV file, the later get numbers."""
    names = schema.names
    if len(set(names)) == len(names):
        return schema
    first = {field.name: at for at, field in reversed(list(enumerate(schema))) if is_wkb(field)}
    taken, fields = set(first), []
    for at, field in enumerate(schema):
        name, number = field.name, 2
        while name in taken and first.get(name) != at:
            name, number = f"{field.name} {number}", number + 1
        taken.add(name)
        fields.append(field.with_name(name))
    return pa.schema(fields)


def _renamed(batch: Any, schema: Any) -> Any:
    return batch if batch.schema.names == schema.names else pa.RecordBatch.from_arrays(batch.columns, schema=schema)


def _sound(reader: Any, source: Source) -> Iterator[Any]:
    """The batches; what GDAL cannot go on with is a refusal, however pyogrio tells it."""
    try:
        yield from reader
    except (RuntimeError, OSError, ValueError) as error:
        raise _refusal(error, source) from None


def _refusal(error: Exception, source: Source) -> RefusedError:
    told = ADVICE.split(str(error).replace(source.path, "the file"))[0]
    return RefusedError(f"GDAL cannot read it as {source.title}: {told}")


def _choose_layer(source: Source) -> str:
    """The wanted layer, or the only one that has geometry, or of those the only one that has rows."""
    layers = [(str(name), geometry) for name, geometry in pyogrio.list_layers(source.path)]
    names = [name for name, _ in layers]
    if source.layer is not None:
        if source.layer not in names:
            raise RefusedError(f"it has no layer {source.layer!r}; its layers are {', '.join(names)}")
        return source.layer
    # Of a CSV file options make the geometry, which the list does not know of yet.
    spatial = [name for name, geometry in layers if geometry is not None or source.driver == "CSV"]
    if not spatial:
        raise RefusedError("it has no geometry: no layer of it is spatial")
    if 1 < len(spatial) <= MAX_COUNTED_LAYERS:
        spatial = [name for name in spatial if _has_rows(source, name)] or spatial
    if len(spatial) > 1:
        raise RefusedError(
            f"it has several layers, {', '.join(spatial)}; the manifest's field layer says which is meant"
        )
    return spatial[0]


def _has_rows(source: Source, layer: str) -> bool:
    info = pyogrio.read_info(source.path, layer=layer, force_feature_count=True, **source.options)
    return info["features"] != 0


def _facts(layer: str, info: dict[str, Any], meta: dict[str, Any], schema: Any) -> dict[str, Any]:
    geometries = [f.name for f in schema if is_wkb(f)]
    geometry = meta["geometry_name"] or next(iter(geometries), "")
    if geometry not in schema.names:
        raise RefusedError(f"its layer {layer} has no geometry")
    if len(schema) > MAX_COLUMNS:
        raise RefusedError(f"its layer {layer} has {len(schema)} columns; at most {MAX_COLUMNS} are taken")
    return {
        "layer": layer,
        "driver": info["driver"],
        "crs": info["crs"],
        "encoding": info["encoding"],
        "geometry_type": info["geometry_type"],
        "geometry_column": geometry,
        "features": info["features"],
        "told": ROUNDED.get(info["driver"], {}),
        "left_out": [name for name in geometries if name != geometry],
    }
