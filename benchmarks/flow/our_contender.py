"""A day by the location's own ingestion: `our_contender URL DAY`, the database's fields as JSON on its input.

Prints what dlt_contender does.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from datetime import date
from pathlib import Path

from analytics.ingestion import DailySource, ingest_days
from benchmarks.flow.stores import ENTRIES, client
from terrane.postgres import PostgresResource


def main() -> None:
    url, day = sys.argv[1:]
    warehouse = PostgresResource(**json.loads(sys.stdin.read()))
    daily, error = DailySource(ENTRIES, "/v1/journal-entries", "replace_day"), ""
    with client(url) as asked:
        startup = time.time() - float(os.environ["STARTED_AT"])
        began, used = time.perf_counter(), time.process_time()
        try:
            ingest_days(warehouse, asked, daily, [date.fromisoformat(day)], "run", lambda *_: None)
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}"
        measured = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - used}
    # Since this program began: what getrusage says may be the parent's.
    most = int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0])
    print(json.dumps({**measured, "memory_mb": most / 1024, "startup": startup, "error": error}))


if __name__ == "__main__":
    main()
