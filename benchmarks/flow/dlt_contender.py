"""The same pages with plain dlt: `dlt_contender.py URL DAY FORM`, the database's address on its input.

Prints the seconds of the pipeline's run and its rows, as JSON; what is imported before is not in them.
"""

import json
import sys
import tempfile
import time

import dlt
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator


def main() -> None:
    url, day, form = sys.argv[1:]
    client = RESTClient(url, paginator=JSONResponseCursorPaginator("next_cursor", "cursor"), data_selector="items")

    @dlt.resource(name="journal_entries", write_disposition="append", primary_key="id")
    def journal_entries():
        yield from client.paginate("/v1/journal-entries", params={"from": day, "limit": 5000})

    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline(
            "bench",
            destination=dlt.destinations.postgres(sys.stdin.read()),
            dataset_name="by_dlt",
            pipelines_dir=folder,
        )
        began = time.perf_counter()
        pipeline.run(journal_entries(), loader_file_format=form)
        seconds = time.perf_counter() - began
        rows = pipeline.last_trace.last_normalize_info.row_counts["journal_entries"]
    print(json.dumps({"seconds": seconds, "rows": rows}))


if __name__ == "__main__":
    main()
