"""The process that lets GDAL read one file: started with a clean environment and limits, it writes Arrow to its output.

Its input is one JSON object: the source, batch bounds, limits, GDAL's settings for this file. Its output is an Arrow
IPC stream whose schema carries what is known of the layer, under the key `layer`. The last line of its error output is
a JSON object: `met`, what was met in the layer; or `refused`, the reason why the file is not to be had, `by_hand`, why
GDAL should not read it, or `times`, what columns are to be taken for, and then it exits with REFUSED.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path

from terrane_spatial.sandbox.confinement import confine, program_folders
from terrane_spatial.sandbox.protocol import OUT_OF_MEMORY, REFUSED, RefusedError, apply_limits


def main() -> int:
    # What is made here is imported or handed on, never a cycle: collecting costs a tenth of the start, for nothing.
    gc.disable()
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # What takes longest to import, while the file may still be on its way; not yet GDAL, which reads its settings then.
    from terrane_spatial.reading.child.opened import ByHandError
    from terrane_spatial.reading.child.stream import stream
    from terrane_spatial.reading.child.times import TimesDifferError

    request = json.load(sys.stdin)
    apply_limits(request["limits"])
    os.environ.update(request["settings"])
    request["confined"] = confine([*program_folders(), Path(request["source"]["path"]).parent])
    try:
        stream(request, output)
        output.close()
    except RefusedError as refusal:
        print(json.dumps({"refused": str(refusal)}), file=sys.stderr)
        return REFUSED
    except ByHandError as found:
        print(json.dumps({"by_hand": str(found)}), file=sys.stderr)
        return REFUSED
    except TimesDifferError as found:
        print(json.dumps({"times": {found.column: found.kind}}), file=sys.stderr)
        return REFUSED
    except MemoryError:
        print("no memory was left", file=sys.stderr)
        return OUT_OF_MEMORY
    except BrokenPipeError:
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    # Taking the interpreter and GDAL down in order takes longer than reading a small file.
    os._exit(code)
