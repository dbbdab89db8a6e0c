"""What a Feast repository declares, read from its source text: importing Feast costs seconds, this costs none.

The asset graph, the check of columns, and a look into Redis need names and types alone. They are read from literal
arguments of `Entity(...)`, `PostgreSQLSource(...)`, `FeatureView(...)` and `FeatureService(...)`; `applying` compares
the result with what Feast itself reads, so the two cannot drift apart.
"""

from __future__ import annotations

import ast
import hashlib
import os
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from terrane_features.declarations import Declarations, RepositoryError, last_name

IGNORED_FOLDERS = {"__pycache__", "data"}
# What a point-in-time span is written in, as `timedelta` takes it.
SPANS = {"weeks", "days", "hours", "minutes", "seconds"}


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
        ttl: how old a row may be to count; None where the definition sets no limit, or no plain one.
    """

    name: str
    description: str
    join_keys: tuple[tuple[str, str], ...]
    features: tuple[Feature, ...]
    table: str
    timestamp_column: str
    created_column: str
    ttl: timedelta | None = None
    tags: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def key_names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.join_keys)


@dataclass(frozen=True)
class FeatureService:
    """What a product asks for by one name, and the views it is read from."""

    name: str
    description: str
    views: tuple[str, ...]


@dataclass(frozen=True)
class Repository:
    """A repository's content; `digest` changes with any byte of its files, and with nothing else."""

    project: str
    digest: str
    views: tuple[FeatureView, ...]
    services: tuple[FeatureService, ...]

    def view(self, name: str) -> FeatureView:
        """The view of that name. Raises RepositoryError, with the names there are."""
        for view in self.views:
            if view.name == name:
                return view
        raise RepositoryError(f"no feature view {name!r}; there are {', '.join(v.name for v in self.views) or 'none'}")

    def service(self, name: str) -> FeatureService:
        """The service of that name. Raises RepositoryError, with the names there are."""
        for service in self.services:
            if service.name == name:
                return service
        there = ", ".join(s.name for s in self.services) or "none"
        raise RepositoryError(f"no feature service {name!r}; there are {there}")


def locate(default: Path) -> Path:
    """The folder of the repository: `FEAST_REPO_PATH`, else `default`."""
    return Path(os.environ.get("FEAST_REPO_PATH") or default).resolve()


def read_repository(folder: Path) -> Repository:
    """Reads the declarations of a repository. Raises RepositoryError."""
    settings = folder / "feature_store.yaml"
    if not settings.exists():
        raise RepositoryError(f"{settings} does not exist: set FEAST_REPO_PATH to the folder that holds it")
    files = _python_files(folder)
    reader = _Reader(Declarations(folder, files))
    return Repository(_project(settings), _digest(folder, [settings, *files]), reader.views(), reader.services())


def _python_files(folder: Path) -> list[Path]:
    """The files Feast would import, in its order."""
    found = (file for file in folder.rglob("*.py") if file.name != "__init__.py")
    return sorted(f for f in found if not any(_ignored(part) for part in f.relative_to(folder).parts[:-1]))


def _ignored(part: str) -> bool:
    return part.startswith(".") or part in IGNORED_FOLDERS


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
