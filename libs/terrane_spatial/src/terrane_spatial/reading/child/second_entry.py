"""The process that reads one file a second time, by hand: confined as the first, and without GDAL.

Its request has the source and the rows that are wanted. Its output is as `second` has it. What it cannot do it says in
the last line of its error output, `refused` or `unsupported`, and exits with REFUSED.

The work is imported in `prepare`, after collecting garbage is switched off, which saves a tenth of the start.
"""

from __future__ import annotations

import gc
from typing import Any

from terrane_spatial.sandbox.child_main import main


def prepare() -> Any:
    gc.disable()
    from terrane_spatial.reading.child.records.table import UnsupportedError
    from terrane_spatial.reading.child.second import send

    return send, {
        UnsupportedError: lambda reason: {"unsupported": str(reason)},
        MemoryError: lambda _: {"unsupported": "it takes more memory than one file may"},
    }


if __name__ == "__main__":
    main(prepare)
