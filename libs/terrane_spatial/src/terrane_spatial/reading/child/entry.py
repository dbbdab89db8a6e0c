"""The process that lets GDAL read one file: started with a clean environment and limits, it writes Arrow to its output.

Its request has the source, batch bounds and GDAL's settings for this file. Its output is an Arrow IPC stream whose
schema carries what is known of the layer, under the key `layer`. The last line of its error output is a JSON object:
`met`, what was met in the layer; or `refused`, the reason why the file is not to be had, `by_hand`, why GDAL should not
read it, or `times`, what columns are to be taken for, and then it exits with REFUSED.

The work is imported in `prepare`, after collecting garbage is switched off, which saves a tenth of the start.
"""

from __future__ import annotations

import gc
from typing import Any

from terrane_spatial.sandbox.child_main import main


def prepare() -> Any:
    """What takes longest to import, while the file may still be on its way; not yet GDAL, which reads its settings."""
    # What is made here is imported or handed on, never a cycle: collecting costs a tenth of the start, for nothing.
    gc.disable()
    from terrane_spatial.reading.child.opened import ByHandError
    from terrane_spatial.reading.child.stream import stream
    from terrane_spatial.reading.child.times import TimesDifferError

    return stream, {
        ByHandError: lambda found: {"by_hand": str(found)},
        TimesDifferError: lambda found: {"times": {found.column: found.kind}},
    }


if __name__ == "__main__":
    main(prepare)
