"""Small files that loaders change or lose something of, each sent as a producer would send it and read back."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from spatial_cases import FILES, RUN, Case, Load

from terrane.postgres import PostgresResource
from terrane_spatial.files.fetch import unpack
from terrane_spatial.files.formats import BY_NAME, RASTERS, VECTORS
from terrane_spatial.intake.manifest import ManifestFile
from terrane_spatial.loading.table_loader import load_file
from terrane_spatial.rasters import cog_writer
from terrane_spatial.runs import run_schema


@pytest.fixture
def load(postgis: PostgresResource, tmp_path: Path) -> Iterator[Load]:
    """Loads a file of this folder, or bytes, into a fresh table, as the run does."""
    numbers = iter(range(100))
    with run_schema.connect(postgis, RUN) as connection:
        run_schema.create(connection, RUN, RUN)

        def send(content: str | bytes, **told: Any) -> Case:
            folder = tmp_path / f"in{next(numbers)}"
            folder.mkdir()
            connection.execute("drop view if exists out_t; drop table if exists t; delete from _loads")
            (folder / "object").write_bytes((FILES / content).read_bytes() if isinstance(content, str) else content)
            file = ManifestFile(key="t.x", size=1, sha256="0" * 64, **told)
            path = unpack(folder / "object", "t", "t.x", [BY_NAME[name] for name in VECTORS])
            return Case(connection, postgis, load_file(connection, path, file), folder)

        yield send
        run_schema.drop(connection, run_schema.schema_of(RUN))


@pytest.fixture
def convert(tmp_path: Path) -> Callable[..., cog_writer.Cog]:
    """Converts a raster of this folder, as the run does."""

    def send(name: str, **told: Any) -> cog_writer.Cog:
        (tmp_path / "in").mkdir()
        (tmp_path / "out").mkdir()
        shutil.copy(FILES / name, tmp_path / "in" / "object")
        path = unpack(tmp_path / "in" / "object", "r", name, [BY_NAME[kind] for kind in RASTERS])
        return cog_writer.to_cog(path, name, tmp_path / "out" / "r.tif", cog_writer.Wanted(**told))

    return send
