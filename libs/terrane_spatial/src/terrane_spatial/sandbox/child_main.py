"""How every process that handles hostile content begins and ends: its output, its limits, its cage, its exit code.

Its input is one JSON object: `limits`, `readable` folders, and where there are any `settings` for libraries and
`writable` folders; the rest is the work's own.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from terrane_spatial.sandbox.confinement import confine, program_folders
from terrane_spatial.sandbox.protocol import OUT_OF_MEMORY, REFUSED, RefusedError, apply_limits

Work = Callable[[dict[str, Any], Any], None]
Told = Callable[[Any], dict[str, Any]]
Prepare = Callable[[], tuple[Work, Mapping[type[BaseException], Told]]]
FAILED, MAX_TOLD = 1, 2000


def main(prepare: Prepare, quiet: bool = False) -> NoReturn:
    """What a child's module does when it is run: all that `run` does, and the end of the process."""
    code = run(prepare, quiet)
    sys.stderr.flush()
    # Taking the interpreter and its libraries down in order takes longer than handling a small file.
    os._exit(code)


def run(prepare: Prepare, quiet: bool = False) -> int:
    """Prepares, takes one request, confines this process and does the work; returns the exit code.

    Args:
        prepare: imports what may be before the request is there, which makes no thread; returns the work, which takes
            the request and where its output goes, and what is told of the exceptions by which it refuses, beside
            RefusedError.
        quiet: what libraries say is thrown away, because only they know how much that is; what is told then goes to the
            output. Otherwise libraries' output and what is told go to the error output, the latter as its last line.
    """
    output = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere if quiet else 2, 1)
    if quiet:
        os.dup2(nowhere, 2)
    told_to = output if quiet else sys.stderr.buffer
    try:
        work, refusals = prepare()
        request = json.load(sys.stdin)
        apply_limits(request["limits"])
        os.environ.update(request.get("settings", {}))
        request["confined"] = confine([*program_folders(), *request["readable"]], request.get("writable", ()))
        try:
            work(request, output)
            output.close()
        except (RefusedError, *refusals) as refusal:
            told = next((told for kind, told in refusals.items() if isinstance(refusal, kind)), _refused)
            told_to.write(json.dumps(told(refusal)).encode() + b"\n")
            told_to.flush()
            return REFUSED
    except MemoryError:
        print("no memory was left", file=sys.stderr)
        return OUT_OF_MEMORY
    except BrokenPipeError:
        # Nobody is there to be told.
        return FAILED
    except Exception as error:
        sys.excepthook(type(error), error, error.__traceback__)
        if told_to is output:
            output.write(f"{type(error).__name__}: {error}"[:MAX_TOLD].encode())
            output.flush()
        return FAILED
    return 0


def _refused(refusal: BaseException) -> dict[str, Any]:
    return {"refused": str(refusal)}
