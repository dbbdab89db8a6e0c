"""The process that brings a SQLite database up to what its write-ahead log has committed (sqlite.org/wal.html).

Its request has the path. SQLite writes in the file's own folder, which is a copy. When the log cannot be read it says
why in the last line of its error output, and exits with REFUSED.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from terrane_spatial.sandbox.child_main import main
from terrane_spatial.sandbox.protocol import RefusedError

# What SQLite says of our machine, whatever the file is.
NO_ROOM = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM}
NOT_ALLOWED = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}


def take_in(request: dict[str, Any], _: Any) -> None:
    try:
        connection = sqlite3.connect(request["path"])
        connection.execute("pragma trusted_schema = off")
        busy, logged, written = connection.execute("pragma wal_checkpoint(truncate)").fetchone()
        connection.execute("pragma journal_mode = delete").fetchone()
        connection.close()
    except sqlite3.DatabaseError as error:
        if _is_ours(getattr(error, "sqlite_errorcode", 0)):
            raise
        raise RefusedError(str(error)) from None
    if busy or logged != written:
        raise RefusedError(f"{written} of {logged} pages could be written")


def _is_ours(code: int) -> bool:
    """Of SQLite's extended codes the last byte is the kind; reading fewer bytes than there should be is the file's."""
    kind = code & 0xFF
    return kind in NO_ROOM | NOT_ALLOWED or (kind == sqlite3.SQLITE_IOERR and code != sqlite3.SQLITE_IOERR_SHORT_READ)


if __name__ == "__main__":
    main(lambda: (take_in, {}))
