"""The process that brings a SQLite database up to what its write-ahead log has committed (sqlite.org/wal.html).

Its request has the path. SQLite writes in the file's own folder, which is a copy. When the log cannot be read it says
why in the last line of its error output, and exits with REFUSED.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from terrane_spatial.sandbox.child_main import main
from terrane_spatial.sandbox.protocol import RefusedError


def take_in(request: dict[str, Any], _: Any) -> None:
    connection = sqlite3.connect(request["path"])
    connection.execute("pragma trusted_schema = off")
    busy, logged, written = connection.execute("pragma wal_checkpoint(truncate)").fetchone()
    connection.execute("pragma journal_mode = delete").fetchone()
    connection.close()
    if busy or logged != written:
        raise RefusedError(f"{written} of {logged} pages could be written")


if __name__ == "__main__":
    main(lambda: (take_in, {sqlite3.DatabaseError: lambda error: {"refused": str(error)}}))
