"""The process that lets GDAL read one file: started with a clean environment and limits, it writes Arrow to its output.

Its input is one JSON object: path, layer, encoding, allowed drivers, batch bounds, limits. Its output is an Arrow IPC
stream whose schema carries what GDAL knows of the layer, under the key `layer`. When the file is not to be had, it
exits with REFUSED, and the last line of its error output is a JSON object with the reason.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REFUSED = 3
UNUSED = ("geopandas", "pandas", "shapely", "pyproj")
WKB_EXTENSION = "geoarrow.wkb"
LEGACY_WKB_EXTENSION = "ogc.wkb"
MIN_BATCH_ROWS = 64
# GDAL ends a batch where a column reaches 2 GiB, and with some formats forgets the rows after it.
MAX_GDAL_BATCH_BYTES = 1 << 30


class RefusedError(Exception):
    """The file cannot be read, for a reason its producer should see."""


def main() -> int:
    # What is made here is imported or handed on, never a cycle: collecting costs a tenth of the start, for nothing.
    gc.disable()
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    _limit(request["limits"])
    try:
        _stream(request, output)
        output.close()
    except RefusedError as refusal:
        print(json.dumps({"refused": str(refusal)}), file=sys.stderr)
        return REFUSED
    except BrokenPipeError:
        return 1
    return 0


def _limit(limits: dict[str, int]) -> None:
    """Sets the limits. The kernel of macOS takes none on address space; the clock and the others hold there too."""
    for name, value in limits.items():
        if name == "RLIMIT_AS" and sys.platform == "darwin":
            continue
        resource.setrlimit(getattr(resource, name), (value, value))


def import_pyogrio() -> Any:
    """pyogrio without what it would import if it could, and this process has no use for: half of its CPU time."""
    for name in UNUSED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    import pyogrio

    return pyogrio


def _stream(request: dict[str, Any], output: Any) -> None:
    import pyarrow as pa

    pyogrio = import_pyogrio()
    from pyogrio.errors import DataLayerError, DataSourceError

    extra = set(pyogrio.list_drivers()) - set(request["drivers"])
    if extra:
        raise RuntimeError(f"GDAL has drivers it must not have here: {', '.join(sorted(extra))}")
    path = request["path"]
    try:
        layer = _choose_layer(pyogrio.list_layers(path), request["layer"])
        info = pyogrio.read_info(path, layer=layer)
        rows = _batch_rows(Path(path), info["features"], request["batch_rows"], request["batch_bytes"])
        with pyogrio.open_arrow(
            path,
            layer=layer,
            encoding=request["encoding"],
            batch_size=rows,
            use_pyarrow=True,
        ) as (meta, reader):
            facts = _facts(layer, info, meta, reader.schema)
            schema = _plain_schema(reader.schema).with_metadata({"layer": json.dumps(facts)})
            with pa.ipc.new_stream(output, schema) as sink:
                for batch in reader:
                    plain = pa.RecordBatch.from_arrays([_storage(c) for c in batch.columns], schema=schema)
                    for piece in _pieces(plain, request["batch_bytes"]):
                        sink.write_batch(piece)
    except (DataSourceError, DataLayerError) as error:
        message = str(error).replace(path, "the file").split("; It might help")[0]
        raise RefusedError(f"GDAL cannot read it as {', '.join(request['drivers'])}: {message}") from None


def _batch_rows(path: Path, features: int, most: int, most_bytes: int) -> int:
    """How many rows GDAL makes a batch of, so that batches of rows of average size are no larger than they may be."""
    if features <= 0:
        return most
    size = sum(part.stat().st_size for part in path.parent.glob(f"{path.stem}.*"))
    return max(MIN_BATCH_ROWS, min(most, most_bytes * features // max(1, size)))


def _pieces(batch: Any, most_bytes: int) -> Iterator[Any]:
    """The batch, in halves of halves until no piece of several rows is larger than it may be."""
    if batch.nbytes > MAX_GDAL_BATCH_BYTES:
        raise RefusedError(f"{batch.num_rows} of its features take {batch.nbytes} bytes, more than can be read at once")
    if batch.nbytes <= most_bytes or batch.num_rows <= 1:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _pieces(batch.slice(0, half), most_bytes)
    yield from _pieces(batch.slice(half), most_bytes)


def _choose_layer(layers: Any, wanted: str | None) -> str:
    """The wanted layer, or the only one that has geometry."""
    names = [str(name) for name, _ in layers]
    if wanted is not None:
        if wanted not in names:
            raise RefusedError(f"it has no layer {wanted!r}; its layers are {', '.join(names)}")
        return wanted
    spatial = [str(name) for name, geometry in layers if geometry is not None]
    if not spatial:
        raise RefusedError("it has no geometry: no layer of it is spatial")
    if len(spatial) > 1:
        raise RefusedError(
            f"it has several layers, {', '.join(spatial)}; the manifest's field layer says which is meant"
        )
    return spatial[0]


def _facts(layer: str, info: dict[str, Any], meta: dict[str, Any], schema: Any) -> dict[str, Any]:
    geometry = meta["geometry_name"] or next((f.name for f in schema if _is_wkb(f)), "")
    if geometry not in schema.names:
        raise RefusedError(f"its layer {layer} has no geometry")
    return {
        "layer": layer,
        "driver": info["driver"],
        "crs": info["crs"],
        "encoding": info["encoding"],
        "geometry_type": info["geometry_type"],
        "geometry_column": geometry,
    }


def _is_wkb(field: Any) -> bool:
    name = (field.metadata or {}).get(b"ARROW:extension:name", b"").decode()
    return name in (WKB_EXTENSION, LEGACY_WKB_EXTENSION) or getattr(field.type, "extension_name", "") == WKB_EXTENSION


def _plain_schema(schema: Any) -> Any:
    """The schema without extension types and metadata, which the reading side may not know."""
    import pyarrow as pa

    types = [f.type.storage_type if isinstance(f.type, pa.BaseExtensionType) else f.type for f in schema]
    return pa.schema([pa.field(f.name, t) for f, t in zip(schema, types, strict=True)])


def _storage(column: Any) -> Any:
    import pyarrow as pa

    return column.storage if isinstance(column, pa.ExtensionArray) else column


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    # Taking the interpreter and GDAL down in order takes longer than reading a small file.
    os._exit(code)
