"""The library's rooms: small enough to be found in, and with a wall between a run and what parses hostile files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import terrane_spatial

pytestmark = pytest.mark.unit

LIBRARY = Path(terrane_spatial.__file__).parent
MAX_MODULES, MAX_ARGUMENTS = 16, 5
SAVED = re.compile(r"imported where (it is|they are) used|imported in `prepare`")
# What a process that parses a file may use beside its own room: facts and rules, no store and no database.
KNOWN_TO_BOTH = {
    "terrane_spatial.arrow_buffers",
    "terrane_spatial.errors",
    "terrane_spatial.reading.layer",
    "terrane_spatial.reading.reference_system",
    "terrane_spatial.reading.source",
    "terrane_spatial.reading.texts",
    "terrane_spatial.sandbox.child_main",
    "terrane_spatial.sandbox.imports",
    "terrane_spatial.sandbox.protocol",
    "terrane_spatial.wkb",
}


def modules() -> dict[str, Path]:
    found = [path for path in LIBRARY.rglob("*.py") if path.name != "__init__.py"]
    return {".".join(("terrane_spatial", *path.relative_to(LIBRARY).with_suffix("").parts)): path for path in found}


def only_for_children(module: str) -> bool:
    return ".child." in module or module.endswith("_child")


def imported(path: Path) -> Iterator[str]:
    """Every module of the library that a module imports, at its top or later."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("terrane_spatial"):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules() else str(node.module)


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    given = function.args
    named = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return [name for name in named if name not in ("self", "cls")]


def test_no_function_takes_more_than_five_arguments() -> None:
    counts = {
        f"{module}.{function.name}": len(arguments(function))
        for module, path in modules().items()
        for function in functions(path)
    }
    assert len(counts) > 500
    assert {name: count for name, count in counts.items() if count > MAX_ARGUMENTS} == {}


def test_a_module_that_imports_within_functions_says_what_that_saves() -> None:
    late = {
        module: path
        for module, path in modules().items()
        if any(isinstance(n, ast.Import | ast.ImportFrom) for f in functions(path) for n in ast.walk(f))
    }
    assert len(late) > 5
    told = {module: ast.get_docstring(ast.parse(path.read_text())) or "" for module, path in late.items()}
    assert [module for module, docstring in told.items() if not SAVED.search(docstring)] == []


def test_no_folder_holds_one_module_alone_or_more_than_can_be_taken_in_at_once() -> None:
    folders = {path.parent for path in modules().values()} - {LIBRARY}
    counts = {str(f.relative_to(LIBRARY)): len([p for p in f.glob("*.py") if p.name != "__init__.py"]) for f in folders}
    assert len(counts) > 8
    assert {name: count for name, count in counts.items() if not 2 <= count <= MAX_MODULES} == {}


def test_a_run_imports_nothing_that_only_a_child_process_loads() -> None:
    children = {module for module in modules() if only_for_children(module)}
    assert len(children) > 10
    wrong = {
        f"{module} imports {other}"
        for module, path in modules().items()
        for other in imported(path)
        if module not in children and other in children
    }
    assert wrong == set()


def test_a_child_process_imports_its_own_room_and_what_both_sides_know() -> None:
    wrong = {
        f"{module} imports {other}"
        for module, path in modules().items()
        if only_for_children(module)
        for other in imported(path)
        if not only_for_children(other) and other not in KNOWN_TO_BOTH
    }
    assert wrong == set()
