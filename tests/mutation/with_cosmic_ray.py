"""What runs in cosmic-ray's own environment: lists every fault that it knows for modules, or tries one.

`list <modules...>` prints a JSON list. `try <module> <operator> <occurrence> <arguments> <command> <seconds>` puts the
fault in, runs the command, takes it out, and prints what came of it. No other module of the project is imported here.
"""

# pyright: reportMissingImports=false
# cosmic-ray is in an environment of its own.

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any


def main() -> int:
    what, *arguments = sys.argv[1:]
    print(json.dumps(_listed(arguments) if what == "list" else _tried(*arguments)))
    return 0


def _listed(modules: list[str]) -> list[dict[str, Any]]:
    from cosmic_ray.commands.init import init
    from cosmic_ray.work_db import WorkDB, use_db

    with use_db(":memory:", WorkDB.Mode.create) as database:
        init([Path(module) for module in modules], database, {})
        faults = [mutation for item in database.work_items for mutation in item.mutations]
    hints = {module: _annotated(Path(module)) for module in modules}
    return [
        {
            "module": str(fault.module_path),
            "operator": fault.operator_name,
            "occurrence": fault.occurrence,
            "arguments": fault.operator_args,
            "line": fault.start_pos[0],
            "last_line": fault.end_pos[0],
            "within": fault.definition_name,
        }
        for fault in faults
        if not any(begin <= fault.start_pos < end for begin, end in hints[str(fault.module_path)])
    ]


def _annotated(module: Path) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where types are told, which nothing runs: no test could notice a fault there, and a type checker does."""
    spans = []
    for node in ast.walk(ast.parse(module.read_text())):
        for told in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(told, ast.expr):
                end = (told.end_lineno or told.lineno, told.end_col_offset or told.col_offset)
                spans.append(((told.lineno, told.col_offset), end))
    return spans


def _tried(module: str, operator: str, occurrence: str, arguments: str, command: str, seconds: str) -> dict[str, Any]:
    from cosmic_ray.mutating import mutate_and_test
    from cosmic_ray.work_item import MutationSpec

    spec = MutationSpec(
        module_path=Path(module),
        operator_name=operator,
        occurrence=int(occurrence),
        start_pos=(1, 0),
        end_pos=(1, 1),
        operator_args=json.loads(arguments),
    )
    found = mutate_and_test([spec], command, float(seconds))
    outcome = "survived" if found.test_outcome == "survived" else "caught"
    return {"outcome": outcome if found.worker_outcome == "normal" else "impossible", "diff": found.diff or ""}


if __name__ == "__main__":
    sys.exit(main())
