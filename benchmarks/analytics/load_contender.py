"""Loads a dbt project as a code server does, in a process of its own; prints its memory and what it tells, in MB.

python -m benchmarks.analytics.load_contender PROJECT
"""

import gzip
import json
import re
import sys
from pathlib import Path

from dagster._core.remote_representation.external_data import RepositorySnap
from dagster_shared.serdes.serdes import serialize_value

from benchmarks.analytics.contender import ours

MB = 1_000_000


def main() -> None:
    repository = ours(Path(sys.argv[1]).resolve()).get_repository_def()
    told = serialize_value(RepositorySnap.from_def(repository)).encode()
    # The most that was resident, as of a code server that was asked once.
    (resident_kb,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    found = {
        "rss_mb": int(resident_kb) * 1024 / MB,
        "plain_mb": len(told) / MB,
        "compressed_mb": len(gzip.compress(told)) / MB,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
