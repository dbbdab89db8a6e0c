"""The process that reads one file a second time, by hand: confined as the first, and without GDAL.

Its input is one JSON object: the source, the rows that are wanted, limits. Its output is as `second` has it. What it
cannot do it says in the last line of its error output, `refused` or `unsupported`, and exits with REFUSED.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path

from terrane_spatial.sandbox.confinement import confine, program_folders
from terrane_spatial.sandbox.protocol import REFUSED, RefusedError, apply_limits


def main() -> int:
    gc.disable()
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    from terrane_spatial.reading.child.records.table import UnsupportedError
    from terrane_spatial.reading.child.second import send

    request = json.load(sys.stdin)
    apply_limits(request["limits"])
    confine([*program_folders(), Path(request["source"]["path"]).parent])
    try:
        send(request, output)
        output.close()
    except RefusedError as refusal:
        print(json.dumps({"refused": str(refusal)}), file=sys.stderr)
        return REFUSED
    except (UnsupportedError, MemoryError) as reason:
        print(json.dumps({"unsupported": str(reason) or "it takes more memory than one file may"}), file=sys.stderr)
        return REFUSED
    except BrokenPipeError:
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)
