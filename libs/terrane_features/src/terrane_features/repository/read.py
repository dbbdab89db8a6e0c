"""What a Feast repository declares, read from its source text: importing Feast costs seconds, this costs none.

The asset graph, the check of columns, and a look into Redis need names and types alone. They are read from literal
arguments of `Entity(...)`, `PostgreSQLSource(...)`, `FeatureView(...)` and `FeatureService(...)`; `applying` compares
the result with what Feast itself reads, so the two cannot drift apart.
"""

from __future__ import annotations

import ast
import hashlib
import os
from datetime import timedelta
from pathlib import Path

from terrane_features.repository.declarations import Declarations, last_name
from terrane_features.repository.model import Feature, FeatureService, FeatureView, Repository
from terrane_features.repository.settings import SETTINGS, read_project

IGNORED_FOLDERS = {"__pycache__", "data"}
# What a point-in-time span is written in, as `timedelta` takes it.
SPANS = {"weeks", "days", "hours", "minutes", "seconds"}


def locate(default: Path) -> Path:
    """The folder of the repository: `FEAST_REPO_PATH`, else `default`."""
    return Path(os.environ.get("FEAST_REPO_PATH") or default).resolve()


def read_repository(folder: Path) -> Repository:
    """Reads the declarations of a repository. Raises RepositoryError."""
    project = read_project(folder)
    files = _python_files(folder)
    reader = _Reader(Declarations(folder, files))
    return Repository(project, _digest(folder, [folder / SETTINGS, *files]), reader.views(), reader.services())


def _python_files(folder: Path) -> list[Path]:
    """The files Feast would import, in its order."""
    found = (file for file in folder.rglob("*.py") if file.name != "__init__.py")
    return sorted(f for f in found if not any(_ignored(part) for part in f.relative_to(folder).parts[:-1]))


def _ignored(part: str) -> bool:
    return part.startswith(".") or part in IGNORED_FOLDERS


def _digest(folder: Path, files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.relative_to(folder).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


class _Reader:
    """Feast's definitions among the declarations."""

    def __init__(self, declared: Declarations) -> None:
        self._declared = declared

    def views(self) -> tuple[FeatureView, ...]:
        found = self._declared.of_class("FeatureView")
        return tuple(sorted((self._view(file, call) for file, call in found), key=lambda view: view.name))

    def services(self) -> tuple[FeatureService, ...]:
        found = self._declared.of_class("FeatureService")
        return tuple(sorted((self._service(file, call) for file, call in found), key=lambda service: service.name))

    def _view(self, file: Path, call: ast.Call) -> FeatureView:
        declared = self._declared
        source_file, source = declared.call(file, declared.argument(file, call, "source"), "source", call)
        return FeatureView(
            name=declared.text(file, call, "name"),
            description=declared.text(file, call, "description", ""),
            join_keys=tuple(
                k for entity in declared.items(file, call, "entities") for k in self._keys(file, entity, call)
            ),
            features=tuple(self._feature(file, item, call) for item in declared.items(file, call, "schema")),
            table=self._table(source_file, source),
            timestamp_column=declared.text(source_file, source, "timestamp_field"),
            created_column=declared.text(source_file, source, "created_timestamp_column", ""),
            ttl=self._span(file, call, "ttl"),
            tags=declared.texts(file, call, "tags"),
        )

    def _service(self, file: Path, call: ast.Call) -> FeatureService:
        declared = self._declared
        views = {name for item in declared.items(file, call, "features") for name in self._sources(file, item, call)}
        return FeatureService(
            declared.text(file, call, "name"), declared.text(file, call, "description", ""), tuple(sorted(views))
        )

    def _sources(self, file: Path, item: ast.expr, near: ast.Call) -> set[str]:
        """The names of the views that an item of a service is read from; an on-demand view's are its sources'."""
        declared = self._declared
        file, value = declared.root(file, item)
        kind = last_name(value.func) if isinstance(value, ast.Call) else ""
        if isinstance(value, ast.Call) and kind == "FeatureView":
            return {declared.text(file, value, "name")}
        if isinstance(value, ast.Call) and kind in {"on_demand_feature_view", "OnDemandFeatureView"}:
            return {n for source in declared.items(file, value, "sources") for n in self._sources(file, source, value)}
        if kind == "RequestSource":
            return set()
        raise declared.error(file, near, "features= holds something that is no feature view of this repository")

    def _table(self, file: Path, source: ast.Call) -> str:
        table = self._declared.text(file, source, "table")
        if table.count(".") != 1:
            raise self._declared.error(file, source, f"the table {table!r} lacks its schema; write gold.{table}")
        return table

    def _keys(self, file: Path, entity: ast.expr, near: ast.Call) -> list[tuple[str, str]]:
        declared = self._declared
        file, call = declared.call(file, entity, "entities", near)
        value_type = last_name(declared.argument(file, call, "value_type"))
        names = [declared.literal(file, item, "join_keys") for item in declared.items(file, call, "join_keys")]
        return [(name, value_type) for name in names]

    def _feature(self, file: Path, item: ast.expr, near: ast.Call) -> Feature:
        file, call = self._declared.call(file, item, "schema", near)
        dtype = self._declared.argument(file, call, "dtype")
        return Feature(self._declared.text(file, call, "name"), ast.unparse(dtype).replace("feast.types.", ""))

    def _span(self, file: Path, call: ast.Call, name: str) -> timedelta | None:
        """A `timedelta(days=1)` of plain numbers; None for anything else, and for no time at all."""
        if not self._declared.has(call, name):
            return None
        _, value = self._declared.follow(file, self._declared.argument(file, call, name))
        if not isinstance(value, ast.Call) or last_name(value.func) != "timedelta" or value.args:
            return None
        parts = {k.arg: k.value.value for k in value.keywords if isinstance(k.value, ast.Constant)}
        if len(parts) != len(value.keywords) or not set(parts) <= SPANS:
            return None
        return timedelta(**{str(unit): float(str(count)) for unit, count in parts.items()}) or None
