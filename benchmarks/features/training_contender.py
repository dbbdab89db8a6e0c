"""`python -m benchmarks.features.training_contender <stock|ours> <folder> <pid> <rows> <target>`: one set, timed.

Importing is not counted. Prints JSON: seconds, CPU of this process and of Postgres (pid), rows, and peak of memory.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

from benchmarks.features.processor import cpu_seconds, forget_peak, peak_mb

SERVICE = "training"
QUERY = "select user_id, event_timestamp, label from gold.questions where label < {rows}"


def stock(folder: Path, query: str, target: Path) -> Callable[[], int]:
    """Feast's own: the whole answer as an Arrow table, written as Parquet."""
    import pyarrow.parquet as pq
    from feast import FeatureStore

    store = FeatureStore(repo_path=str(folder))

    def run() -> int:
        job = store.get_historical_features(entity_df=query, features=store.get_feature_service(SERVICE))
        table = job.to_arrow()
        pq.write_table(table, target, compression="zstd")
        return table.num_rows

    return run


def ours(folder: Path, query: str, target: Path) -> Callable[[], int]:
    import adbc_driver_postgresql.dbapi  # noqa: F401 - so that its import is not counted, as stock's is not

    from terrane.postgres import PostgresResource
    from terrane_features.resources import FeastResource
    from terrane_features.training.options import JoinOptions
    from terrane_features.training.point_in_time import write_training_set

    feast, warehouse = FeastResource(repo_path=str(folder)), PostgresResource.from_process("WAREHOUSE")
    feast.store()
    options = JoinOptions(known_at_the_time=False)
    return lambda: write_training_set(feast, warehouse, SERVICE, query, target, options).rows


def main() -> None:
    who, folder, pid, rows, target = sys.argv[1:]
    with redirect_stdout(sys.stderr):
        run = {"stock": stock, "ours": ours}[who](Path(folder), QUERY.format(rows=rows), Path(target))
        forget_peak()
        began, cpu, server = time.perf_counter(), time.process_time(), cpu_seconds([int(pid)])
        found = run()
    measured = {
        "seconds": time.perf_counter() - began,
        "cpu_s": time.process_time() - cpu + cpu_seconds([int(pid)]) - server,
        "rows": found,
        "peak_mb": peak_mb(),
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
