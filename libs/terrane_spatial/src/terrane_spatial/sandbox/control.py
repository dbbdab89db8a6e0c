"""A known good file of every format, read to tell a file that ends its process from an installation that is broken."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from terrane_spatial.files.fetch import unpack
from terrane_spatial.files.formats import Format

FOLDER = Path(__file__).parent / "control_files"


@contextmanager
def control_file(kind: Format) -> Iterator[Path]:
    """The format's control file, in a folder of its own that goes afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        arrived = Path(shutil.copy(FOLDER / f"{kind.name}.zip", Path(folder) / "object"))
        yield unpack(arrived, "control", f"the control file of {kind.title}", (kind,))
