"""What a Feast repository declares, read from its source text: importing Feast costs seconds, this costs none.

The asset graph, the check of columns, and a look into Redis need names and types alone. They are read from literal
arguments of `Entity(...)`, `PostgreSQLSource(...)`, `FeatureView(...)` and `FeatureService(...)`; `applying` compares
the result with what Feast itself reads, so the two cannot drift apart.
"""

from __future__ import annotations

import ast
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

IGNORED_FOLDERS = {"__pycache__", "data"}
MOST_HOPS = 8


class RepositoryError(ValueError):
    """The repository cannot be read; the message names file and line, and what to write instead."""


@dataclass(frozen=True)
class Feature:
    """A field of a view; `dtype` as it is written, `Int64` or `Array(String)`."""

    name: str
    dtype: str


@dataclass(frozen=True)
class FeatureView:
    """One feature view and the table it is made from.

    Attributes:
        join_keys: names and Feast value types (`INT64`) of the columns that identify a row, in its entities' order.
        table: `schema.table` of the warehouse.
        created_column: when the row was written; empty where the source names none.
    """

    name: str
    description: str
    join_keys: tuple[tuple[str, str], ...]
    features: tuple[Feature, ...]
    table: str
    timestamp_column: str
    created_column: str

    @property
    def key_names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.join_keys)


@dataclass(frozen=True)
class Repository:
    """A repository's content; `digest` changes with any byte of its files, and with nothing else."""

    project: str
    digest: str
    views: tuple[FeatureView, ...]
    services: tuple[str, ...]

    def view(self, name: str) -> FeatureView:
        """The view of that name. Raises RepositoryError, with the names there are."""
        for view in self.views:
            if view.name == name:
                return view
        raise RepositoryError(f"no feature view {name!r}; there are {', '.join(v.name for v in self.views) or 'none'}")


def locate(default: Path) -> Path:
    """The folder of the repository: `FEAST_REPO_PATH`, else `default`."""
    return Path(os.environ.get("FEAST_REPO_PATH") or default).resolve()


def read_repository(folder: Path) -> Repository:
    """Reads the declarations of a repository. Raises RepositoryError."""
    settings = folder / "feature_store.yaml"
    if not settings.exists():
        raise RepositoryError(f"{settings} does not exist: set FEAST_REPO_PATH to the folder that holds it")
    files = _python_files(folder)
    trees = {file: _parse(file) for file in files}
    reader = _Reader(folder, trees)
    return Repository(_project(settings), _digest(folder, [settings, *files]), reader.views(), reader.services())


def _python_files(folder: Path) -> list[Path]:
    """The files Feast would import, in its order."""
    found = (file for file in folder.rglob("*.py") if file.name != "__init__.py")
    return sorted(f for f in found if not any(_ignored(part) for part in f.relative_to(folder).parts[:-1]))


def _ignored(part: str) -> bool:
    return part.startswith(".") or part in IGNORED_FOLDERS


def _parse(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_text(), str(file))
    except SyntaxError as error:
        raise RepositoryError(f"{file}:{error.lineno}: {error.msg}; correct the definition and load again") from error


def _project(settings: Path) -> str:
    import yaml

    return str(yaml.safe_load(settings.read_text())["project"])


def _digest(folder: Path, files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.relative_to(folder).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


class _Reader:
    """Follows names from a view to its entities and its source, across the files of the repository."""

    def __init__(self, folder: Path, trees: dict[Path, ast.Module]) -> None:
        self._folder = folder
        self._values: dict[tuple[Path, str], ast.expr] = {}
        self._imports: dict[tuple[Path, str], tuple[str, str]] = {}
        for file, tree in trees.items():
            for node in tree.body:
                self._remember(file, node)

    def _remember(self, file: Path, node: ast.stmt) -> None:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            self._values.update({(file, t.id): node.value for t in targets if isinstance(t, ast.Name)})
        if isinstance(node, ast.ImportFrom) and node.module:
            module = node.module.rpartition(".")[2]
            self._imports.update({(file, n.asname or n.name): (module, n.name) for n in node.names})

    def views(self) -> tuple[FeatureView, ...]:
        return tuple(sorted((self._view(f, c) for f, c in self._of_class("FeatureView")), key=lambda view: view.name))

    def services(self) -> tuple[str, ...]:
        return tuple(sorted(self._text(f, c, "name") for f, c in self._of_class("FeatureService")))

    def _of_class(self, name: str) -> list[tuple[Path, ast.Call]]:
        calls = ((file, value) for (file, _), value in self._values.items() if isinstance(value, ast.Call))
        return [(file, call) for file, call in calls if _last_name(call.func) == name]

    def _view(self, file: Path, call: ast.Call) -> FeatureView:
        source_file, source = self._call(file, self._argument(file, call, "source"), "source", call)
        return FeatureView(
            name=self._text(file, call, "name"),
            description=self._text(file, call, "description", ""),
            join_keys=tuple(
                k for entity in self._items(file, call, "entities") for k in self._keys(file, entity, call)
            ),
            features=tuple(self._feature(file, item, call) for item in self._items(file, call, "schema")),
            table=self._table(source_file, source),
            timestamp_column=self._text(source_file, source, "timestamp_field"),
            created_column=self._text(source_file, source, "created_timestamp_column", ""),
        )

    def _table(self, file: Path, source: ast.Call) -> str:
        table = self._text(file, source, "table")
        if table.count(".") != 1:
            raise self._error(file, source, f"the table {table!r} lacks its schema; write gold.{table}")
        return table

    def _keys(self, file: Path, entity: ast.expr, near: ast.Call) -> list[tuple[str, str]]:
        file, call = self._call(file, entity, "entities", near)
        value_type = _last_name(self._argument(file, call, "value_type"))
        names = [self._literal(file, item, "join_keys") for item in self._items(file, call, "join_keys")]
        return [(name, value_type) for name in names]

    def _feature(self, file: Path, item: ast.expr, near: ast.Call) -> Feature:
        file, call = self._call(file, item, "schema", near)
        dtype = self._argument(file, call, "dtype")
        return Feature(self._text(file, call, "name"), ast.unparse(dtype).replace("feast.types.", ""))

    def _argument(self, file: Path, call: ast.Call, name: str) -> ast.expr:
        for keyword in call.keywords:
            if keyword.arg == name:
                return keyword.value
        raise self._error(file, call, f"{_last_name(call.func)}(...) has no {name}=; write it as a keyword argument")

    def _text(self, file: Path, call: ast.Call, name: str, default: str | None = None) -> str:
        if default is not None and all(keyword.arg != name for keyword in call.keywords):
            return default
        return self._literal(file, self._argument(file, call, name), name)

    def _literal(self, file: Path, value: ast.expr, name: str) -> str:
        file, value = self._follow(file, value)
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value
        raise self._error(file, value, f"{name}= must be a plain string, since it is read without running the file")

    def _items(self, file: Path, call: ast.Call, name: str) -> list[ast.expr]:
        _, value = self._follow(file, self._argument(file, call, name))
        if isinstance(value, ast.List | ast.Tuple):
            return value.elts
        raise self._error(file, value, f"{name}= must be a plain list, since it is read without running the file")

    def _call(self, file: Path, value: ast.expr, name: str, near: ast.Call) -> tuple[Path, ast.Call]:
        file, value = self._follow(file, value)
        if isinstance(value, ast.Call):
            return file, value
        raise self._error(file, near, f"{name}= of {_last_name(near.func)}(...) is nothing this repository declares")

    def _follow(self, file: Path, value: ast.expr, hops: int = 0) -> tuple[Path, ast.expr]:
        """What a name stands for: a value of its own file, or of the file it is imported from."""
        if not isinstance(value, ast.Name | ast.Attribute) or hops > MOST_HOPS:
            return file, value
        module, name = file.stem, _last_name(value)
        if isinstance(value, ast.Attribute):
            module = _last_name(value.value)
        elif (file, name) in self._imports:
            module, name = self._imports[(file, name)]
        for (other, known), found in self._values.items():
            if (other.stem, known) == (module, name):
                return self._follow(other, found, hops + 1)
        return file, value

    def _error(self, file: Path, node: ast.expr, what: str) -> RepositoryError:
        return RepositoryError(f"{file.relative_to(self._folder.parent)}:{node.lineno}: {what}")


def _last_name(node: ast.expr) -> str:
    """`Int64` of both `Int64` and `feast.types.Int64`; empty for anything that is no name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
