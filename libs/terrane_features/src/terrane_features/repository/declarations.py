"""Literal arguments in the source text of a folder of Python files, found without running any of them.

A name is followed to what it stands for, across files; what is no literal is refused with file and line.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from terrane_features.repository.model import RepositoryError

MOST_HOPS = 8

Declared = tuple[Path, ast.expr]


def parse(file: Path) -> ast.Module:
    """Raises RepositoryError for a file that is no Python."""
    try:
        return ast.parse(file.read_text(), str(file))
    except SyntaxError as error:
        raise RepositoryError(f"{file}:{error.lineno}: {error.msg}; correct the definition and load again") from error


def last_name(node: ast.expr) -> str:
    """`Int64` of both `Int64` and `feast.types.Int64`; empty for anything that is no name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


class Declarations:
    """What the modules of a folder assign, import and decorate."""

    def __init__(self, folder: Path, files: list[Path]) -> None:
        self._folder = folder
        self._values: dict[tuple[Path, str], ast.expr] = {}
        self._imports: dict[tuple[Path, str], tuple[str, str]] = {}
        for file in files:
            for node in parse(file).body:
                self._remember(file, node)

    def _remember(self, file: Path, node: ast.stmt) -> None:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            self._values.update({(file, t.id): node.value for t in targets if isinstance(t, ast.Name)})
        if isinstance(node, ast.ImportFrom) and node.module:
            module = node.module.rpartition(".")[2]
            self._imports.update({(file, n.asname or n.name): (module, n.name) for n in node.names})
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            self._values[(file, node.name)] = node.decorator_list[-1]

    def of_class(self, name: str) -> list[tuple[Path, ast.Call]]:
        """The calls of that name whose result a module keeps as a variable."""
        calls = ((file, value) for (file, _), value in self._values.items() if isinstance(value, ast.Call))
        return [(file, call) for file, call in calls if last_name(call.func) == name]

    def has(self, call: ast.Call, name: str) -> bool:
        return any(keyword.arg == name for keyword in call.keywords)

    def argument(self, file: Path, call: ast.Call, name: str) -> ast.expr:
        for keyword in call.keywords:
            if keyword.arg == name:
                return keyword.value
        raise self.error(file, call, f"{last_name(call.func)}(...) has no {name}=; write it as a keyword argument")

    def text(self, file: Path, call: ast.Call, name: str, default: str | None = None) -> str:
        """An argument that is a plain string."""
        if default is not None and not self.has(call, name):
            return default
        return self.literal(file, self.argument(file, call, name), name)

    def literal(self, file: Path, value: ast.expr, name: str) -> str:
        file, value = self.follow(file, value)
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value
        raise self.error(file, value, f"{name}= must be a plain string, since it is read without running the file")

    def items(self, file: Path, call: ast.Call, name: str) -> list[ast.expr]:
        """An argument that is a plain list."""
        _, value = self.follow(file, self.argument(file, call, name))
        if isinstance(value, ast.List | ast.Tuple):
            return value.elts
        raise self.error(file, value, f"{name}= must be a plain list, since it is read without running the file")

    def texts(self, file: Path, call: ast.Call, name: str) -> dict[str, str]:
        """The plain strings of an argument that is a dictionary; empty without one."""
        if not self.has(call, name):
            return {}
        _, value = self.follow(file, self.argument(file, call, name))
        if not isinstance(value, ast.Dict):
            return {}
        pairs = zip(value.keys, value.values, strict=True)
        return {
            k.value: v.value
            for k, v in pairs
            if isinstance(k, ast.Constant) and isinstance(v, ast.Constant)
            if isinstance(k.value, str) and isinstance(v.value, str)
        }

    def call(self, file: Path, value: ast.expr, name: str, near: ast.Call) -> tuple[Path, ast.Call]:
        file, value = self.follow(file, value)
        if isinstance(value, ast.Call):
            return file, value
        raise self.error(file, near, f"{name}= of {last_name(near.func)}(...) is nothing this repository declares")

    def root(self, file: Path, value: ast.expr) -> Declared:
        """What a projection or a renaming is made from: `view` of `view[["a"]]` and of `view.with_name("b")`."""
        for _ in range(MOST_HOPS):
            file, value = self.follow(file, value)
            if isinstance(value, ast.Subscript):
                value = value.value
            elif isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and self._is_method(file, value):
                value = value.func.value
            else:
                break
        return file, value

    def _is_method(self, file: Path, call: ast.Call) -> bool:
        """Whether the call is of something this folder declares, and not of a module: `view.x()`, not `feast.X()`."""
        assert isinstance(call.func, ast.Attribute)
        owner = call.func.value
        return not isinstance(owner, ast.Name) or self.follow(file, owner)[1] is not owner

    def follow(self, file: Path, value: ast.expr, hops: int = 0) -> Declared:
        """What a name stands for: a value of its own file, or of the file it is imported from."""
        if not isinstance(value, ast.Name | ast.Attribute) or hops > MOST_HOPS:
            return file, value
        module, name = file.stem, last_name(value)
        if isinstance(value, ast.Attribute):
            module = last_name(value.value)
        elif (file, name) in self._imports:
            module, name = self._imports[(file, name)]
        for other, found in self._named(module, name):
            return self.follow(other, found, hops + 1)
        return file, value

    def _named(self, module: str, name: str) -> Iterator[Declared]:
        return ((file, found) for (file, known), found in self._values.items() if (file.stem, known) == (module, name))

    def error(self, file: Path, node: ast.expr, what: str) -> RepositoryError:
        return RepositoryError(f"{file.relative_to(self._folder.parent)}:{node.lineno}: {what}")
