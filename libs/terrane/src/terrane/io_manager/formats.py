"""A value as a file, and back: Parquet for frames and tables, a pickle for the rest.

The libraries are imported where they are used: only a location that has such a value has them.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

MOST_PICKLED = 64 * 2**20
PARQUET, PICKLE = "value.parquet", "value.pickle"
# The library that a value is of, by the first part of its module, to the types that become Parquet.
FRAMES: Mapping[str, tuple[str, ...]] = {
    "pandas": ("DataFrame",),
    "polars": ("DataFrame", "LazyFrame"),
    "pyarrow": ("Table",),
}


def library_of(kind: type) -> str | None:
    """The library whose frame or table that type is; None for any other type."""
    library = kind.__module__.partition(".")[0]
    return library if kind.__name__ in FRAMES.get(library, ()) else None


def write(value: Any, folder: Path) -> tuple[Path, dict[str, Any]]:
    """The file that holds the value, and what its commit says of it.

    Raises:
        dg.Failure: it is no frame and cannot be pickled, or its pickle is too large.
    """
    library = library_of(type(value))
    if library is None:
        return _write_pickle(value, folder / PICKLE), {"library": "pickle"}
    file = folder / PARQUET
    if library == "pandas":
        value.to_parquet(file, engine="pyarrow", index=None)
        rows = len(value)
    elif library == "polars":
        frame = value.collect() if type(value).__name__ == "LazyFrame" else value
        frame.write_parquet(file)
        rows = frame.height
    else:
        import pyarrow.parquet as pq  # pyright: ignore[reportMissingImports]

        pq.write_table(value, file)
        rows = value.num_rows
    return file, {"library": library, "rows": rows}


def read(file: Path, written_by: str, wanted: Any = None) -> Any:
    """The value in the file, as the library that wrote it has it, or as that of the type which the reader names."""
    if written_by == "pickle":
        return pickle.loads(file.read_bytes())  # noqa: S301 - this lake is written by locations alone
    library = (library_of(wanted) if isinstance(wanted, type) else None) or written_by
    if library == "pandas":
        import pandas as pd  # pyright: ignore[reportMissingImports]

        return pd.read_parquet(file, engine="pyarrow")
    if library == "polars":
        import polars as pl  # pyright: ignore[reportMissingImports]

        return pl.scan_parquet(file).collect().lazy() if wanted is pl.LazyFrame else pl.read_parquet(file)
    import pyarrow.parquet as pq  # pyright: ignore[reportMissingImports]

    return pq.read_table(file)


def _write_pickle(value: Any, file: Path) -> Path:
    try:
        content = pickle.dumps(value)
    except Exception as error:
        raise dg.Failure(
            f"the asset returned a {type(value).__name__} that cannot be kept for the next run ({error}): return a "
            "frame of pandas or polars, a table of Arrow, or something that can be pickled",
            allow_retries=False,
        ) from error
    if len(content) > MOST_PICKLED:
        raise dg.Failure(
            f"the asset returned a {type(value).__name__} of {len(content) / 2**20:.0f} MiB, and at most "
            f"{MOST_PICKLED // 2**20} MiB are kept as a pickle: return a frame or a table, which becomes Parquet, or "
            "write it where it belongs and return nothing",
            allow_retries=False,
        )
    file.write_bytes(content)
    return file
