"""The same pages with plain dlt: `dlt_contender.py URL DAY FORM [COLUMNS]`, the database's address on its input.

Prints as JSON the seconds and processor seconds of the pipeline's run, the most memory, how long it was from the
process' start (STARTED_AT in the environment) to the first request, and the error if there was one. COLUMNS are dlt's
hints as JSON: with them what does not fit is to be refused, by dlt's contracts.
"""

import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import dlt
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator


def main() -> None:
    url, day, form, *columns = sys.argv[1:]
    client = RESTClient(url, paginator=JSONResponseCursorPaginator("next_cursor", "cursor"), data_selector="items")
    strict = {"tables": "evolve", "columns": "freeze", "data_type": "freeze"}
    declared = {"columns": json.loads(columns[0]), "schema_contract": strict} if columns else {}
    ready: list[float] = []

    @dlt.resource(name="journal_entries", write_disposition="append", primary_key="id", **declared)
    def journal_entries():
        ready.append(time.time() - float(os.environ["STARTED_AT"]))
        yield from client.paginate("/v1/journal-entries", params={"from": day, "limit": 5000})

    error = ""
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline(
            "bench",
            destination=dlt.destinations.postgres(sys.stdin.read()),
            dataset_name="by_dlt",
            pipelines_dir=folder,
        )
        began, used = time.perf_counter(), time.process_time()
        try:
            pipeline.run(journal_entries(), loader_file_format=form)
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}"
        measured = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - used}
    # Since this program began: what getrusage says may be the parent's.
    most = int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0])
    print(json.dumps({**measured, "memory_mb": most / 1024, "startup": ready[0] if ready else None, "error": error}))


if __name__ == "__main__":
    main()
