"""What runs in a contender's process: calls the function it is told, and prints what it returns."""

from __future__ import annotations

import importlib
import json
import sys


def main() -> None:
    module, function = sys.argv[1].split(":")
    told = getattr(importlib.import_module(f"benchmarks.spatial.{module}"), function)(**json.loads(sys.argv[2]))
    print(json.dumps(told))


if __name__ == "__main__":
    main()
