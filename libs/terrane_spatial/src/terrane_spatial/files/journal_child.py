"""The process that brings a SQLite database up to what its write-ahead log has committed (sqlite.org/wal.html).

Its input is one JSON object: the path, limits. SQLite writes in the file's own folder, which is a copy. It exits with
REFUSED when the log cannot be read, and says why in the last line of its error output.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path

from terrane_spatial.sandbox.confinement import confine, program_folders
from terrane_spatial.sandbox.protocol import REFUSED, apply_limits


def main() -> int:
    request = json.load(sys.stdin)
    apply_limits(request["limits"])
    folder = Path(request["path"]).parent
    confine([*program_folders(), folder], [folder])
    try:
        connection = sqlite3.connect(request["path"])
        connection.execute("pragma trusted_schema = off")
        busy, logged, written = connection.execute("pragma wal_checkpoint(truncate)").fetchone()
        connection.execute("pragma journal_mode = delete").fetchone()
        connection.close()
    except sqlite3.DatabaseError as error:
        print(error, file=sys.stderr)
        return REFUSED
    if busy or logged != written:
        print(f"{written} of {logged} pages could be written", file=sys.stderr)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
