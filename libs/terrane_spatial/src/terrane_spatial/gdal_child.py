"""The process that lets GDAL read one file: started with a clean environment and limits, it writes Arrow to its output.

Its input is one JSON object: the source, batch bounds, limits, GDAL's settings for this file. Its output is an Arrow
IPC stream whose schema carries what is known of the layer, under the key `layer`. The last line of its error output is
a JSON object: `met`, what was met in the geometries; or `refused`, the reason why the file is not to be had, or
`times`, what columns are to be taken for, and then it exits with REFUSED.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from terrane_spatial import gdal_source, parquet_source
from terrane_spatial.confinement import confine, program_folders
from terrane_spatial.crs import identify
from terrane_spatial.geometries import Met, clean
from terrane_spatial.source import RefusedError, Source, size_of
from terrane_spatial.times import TimesDifferError

REFUSED = 3
MIN_BATCH_ROWS = 16
# GDAL ends a batch where a column reaches 2 GiB, and with some formats forgets the rows after it.
MAX_GDAL_BATCH_BYTES = 1 << 30


def main() -> int:
    # What is made here is imported or handed on, never a cycle: collecting costs a tenth of the start, for nothing.
    gc.disable()
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _import_ahead()
    request = json.load(sys.stdin)
    limit(request["limits"])
    os.environ.update(request["settings"])
    request["confined"] = confine([*program_folders(), Path(request["source"]["path"]).parent])
    try:
        _stream(request, output)
        output.close()
    except RefusedError as refusal:
        print(json.dumps({"refused": str(refusal)}), file=sys.stderr)
        return REFUSED
    except TimesDifferError as found:
        print(json.dumps({"times": {found.column: found.kind}}), file=sys.stderr)
        return REFUSED
    except BrokenPipeError:
        return 1
    return 0


def _import_ahead() -> None:
    """Imports what takes longest and has nothing to do with the file, which may still be on its way; not yet GDAL."""
    import pyarrow  # noqa: F401


def limit(limits: dict[str, int]) -> None:
    """Sets the limits. The kernel of macOS takes none on address space; the clock and the others hold there too."""
    for name, value in limits.items():
        if name == "RLIMIT_AS" and sys.platform == "darwin":
            continue
        resource.setrlimit(getattr(resource, name), (value, value))


def _stream(request: dict[str, Any], output: Any) -> None:
    import pyarrow as pa

    source, met = Source(**request["source"]), Met()
    opening = gdal_source.open_source if source.driver else parquet_source.open_source

    def rows(features: int) -> int:
        return _batch_rows(Path(source.path), features, request["batch_rows"], request["batch_bytes"])

    with opening(source, rows) as opened:
        system = identify(opened.facts.pop("crs"))
        facts = {**opened.facts, "system": asdict(system) if system else None, "confined": request["confined"]}
        kept = [name for name in opened.schema.names if name not in facts["left_out"]]
        schema = _plain_schema(pa.schema([opened.schema.field(name) for name in kept]), facts["geometry_column"])
        schema = schema.with_metadata({"layer": json.dumps(facts)})
        written = 0
        with pa.ipc.new_stream(output, schema) as sink:
            for batch in opened.batches:
                written += batch.nbytes
                if written > request["most_bytes"]:
                    raise RefusedError(
                        f"its rows take more than {request['most_bytes']} bytes, far more than a file of its size holds"
                    )
                clean_batch = _cleaned(batch.select(kept), schema, facts["geometry_column"], met, request["strict"])
                for piece in _pieces(clean_batch, request):
                    sink.write_batch(piece)
    print(json.dumps({"met": met.as_dict()}), file=sys.stderr, flush=True)


def _cleaned(batch: Any, schema: Any, name: str, met: Met, strict: bool) -> Any:
    """The batch in plain types, without the rows whose geometry no table should get."""
    import pyarrow as pa

    columns = [_storage(column) for column in batch.columns]
    at = schema.get_field_index(name)
    # A cast imports all of Arrow's compute functions, which takes 40 ms.
    geometry = columns[at] if columns[at].type == pa.binary() else columns[at].cast(pa.binary())
    columns[at], keep = clean(geometry, met, strict)
    plain = pa.RecordBatch.from_arrays(columns, schema=schema)
    return plain if keep is None else plain.filter(pa.array(keep))


def _batch_rows(path: Path, features: int, most: int, most_bytes: int) -> int:
    """How many rows GDAL makes a batch of, so that batches of rows of average size are no larger than they may be."""
    if features <= 0:
        return most
    return max(MIN_BATCH_ROWS, min(most, most_bytes * features // max(1, size_of(path))))


def _pieces(batch: Any, request: dict[str, Any]) -> Iterator[Any]:
    """The batch, in halves of halves until no piece of several rows is larger than it may be."""
    most_bytes = request["batch_bytes"]
    if batch.nbytes > MAX_GDAL_BATCH_BYTES:
        raise RefusedError(f"{batch.num_rows} of its features take {batch.nbytes} bytes, more than can be read at once")
    if batch.nbytes <= most_bytes or batch.num_rows <= 1:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _pieces(batch.slice(0, half), request)
    yield from _pieces(batch.slice(half), request)


def _plain_schema(schema: Any, geometry: str) -> Any:
    """The schema without extension types and metadata, which the reading side may not know; geometry as binary."""
    import pyarrow as pa

    types = [f.type.storage_type if isinstance(f.type, pa.BaseExtensionType) else f.type for f in schema]
    plain = [pa.binary() if f.name == geometry else t for f, t in zip(schema, types, strict=True)]
    return pa.schema([pa.field(f.name, t) for f, t in zip(schema, plain, strict=True)])


def _storage(column: Any) -> Any:
    import pyarrow as pa

    return column.storage if isinstance(column, pa.ExtensionArray) else column


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    # Taking the interpreter and GDAL down in order takes longer than reading a small file.
    os._exit(code)
