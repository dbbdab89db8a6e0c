"""Every private name of Feast 0.67 that Terrane uses, and what it does by taking one in another way than Feast meant.

An upgrade of Feast is read against this module and its tests. Whatever Feast offers publicly is called where it is
needed.
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from terrane import names
from terrane_features.repository.settings import export_optional

if TYPE_CHECKING:
    import psycopg
    from feast import FeatureService, FeatureStore, FeatureView, RepoConfig
    from feast.infra.offline_stores.offline_utils import FeatureViewQueryContext
    from feast.repo_contents import RepoContents

INTERVALS_KEPT = 10
# A request does not wait as long for Redis as a run does: one more try at once, for a connection that Redis closed.
SERVING_OPTIONS = "socket_connect_timeout=2,socket_timeout=2,retry=null,retry_on_timeout=true"

# Feast subtracts a view's ttl from the bounds of a join, which nobody reads here.
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)

_importing = threading.Lock()
_unchecked_import = False


def feast_is_imported() -> bool:
    """Whether Feast is imported in this process, with its checks of a definition's arguments."""
    return "feast" in sys.modules and not _unchecked_import


def import_feast_quickly() -> None:
    """Imports Feast without typeguard's checks of arguments: 1.0 CPU seconds instead of 2.9.

    Does nothing once Feast is imported. Feast decorates its definition classes with `typechecked`, which parses and
    compiles each of their methods again at import. Who only reads a registry builds no definitions, and has no use for
    the checks.
    """
    if "feast" in sys.modules:
        return
    import typeguard

    global _unchecked_import
    _unchecked_import = True
    original = typeguard.typechecked
    typeguard.typechecked = _unchecked  # pyright: ignore[reportAttributeAccessIssue]
    try:
        importlib.import_module("feast")
    finally:
        typeguard.typechecked = original  # pyright: ignore[reportAttributeAccessIssue]


def _unchecked(target: Any = None, **_: Any) -> Any:
    """Stands for `@typechecked` and `@typechecked(...)`."""
    return (lambda decorated: decorated) if target is None else target


@dataclass(frozen=True)
class ParsedRepository:
    """What Feast reads from a repository's files.

    Attributes:
        contents: of the files that can be imported; without a project where they declare none.
        places: file and line of a module's variable, by the object's id.
        problems: place and reason of each file that cannot be imported.
    """

    contents: RepoContents
    places: Mapping[int, str]
    problems: tuple[tuple[str, str], ...]

    def place_of(self, definition: object) -> str:
        return self.places.get(id(definition), "")


def parse_repository(folder: Path) -> ParsedRepository:
    """Imports the files that Feast would, each by itself first, so that a bad one costs no other."""
    from feast import repo_operations

    with _imports_of(folder):
        good, problems, places = [], [], {}
        for file in repo_operations.get_repo_files(folder):
            try:
                module = importlib.import_module(repo_operations.py_path_to_module(file))
                _refuse_namesake(module, file)
            except (Exception, SystemExit) as error:
                problems.append((_place_of(error, file, folder), f"{type(error).__name__}: {error}"))
                continue
            good.append(file)
            places |= _places(module, file, folder)
        listed = repo_operations.get_repo_files
        repo_operations.get_repo_files = lambda _: good
        try:
            return ParsedRepository(repo_operations.parse_repo(folder), places, tuple(problems))
        finally:
            repo_operations.get_repo_files = listed


def _refuse_namesake(module: ModuleType, file: Path) -> None:
    """Raises ImportError when another module of the file's name was imported before."""
    if Path(getattr(module, "__file__", None) or "").resolve() != file:
        raise ImportError(f"another module is called {module.__name__}, and Feast reads that one: rename the file")


def _place_of(error: BaseException, file: Path, folder: Path) -> str:
    """The last line of the repository that was run before the error."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_relative(Path(error.filename), folder)}:{error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(f"{folder}{os.sep}")]
    return f"{_relative(Path(frames[-1].filename), folder)}:{frames[-1].lineno}" if frames else _relative(file, folder)


def _places(module: ModuleType, file: Path, folder: Path) -> dict[int, str]:
    """File and line of what the module itself assigns."""
    lines: dict[str, int] = {}
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            lines.update({target.id: node.lineno for target in targets if isinstance(target, ast.Name)})
    return {
        id(vars(module)[name]): f"{_relative(file, folder)}:{line}"
        for name, line in lines.items()
        if name in vars(module)
    }


def _relative(file: Path, folder: Path) -> str:
    return file.relative_to(folder.parent).as_posix() if file.is_relative_to(folder.parent) else str(file)


@contextmanager
def _imports_of(folder: Path) -> Iterator[None]:
    """Feast imports a repository's files as modules of the working directory. Afterwards they are forgotten, so that
    the next call reads them again and another repository may use the same names."""
    with _importing:
        before, was_silent = Path.cwd(), sys.dont_write_bytecode
        sys.path.insert(0, str(folder))
        sys.dont_write_bytecode = True
        os.chdir(folder)
        importlib.invalidate_caches()
        try:
            yield
        finally:
            os.chdir(before)
            sys.dont_write_bytecode = was_silent
            sys.path.remove(str(folder))
            for name, module in list(sys.modules.items()):
                if str(getattr(module, "__file__", None) or "").startswith(f"{folder}{os.sep}"):
                    del sys.modules[name]


def apply_all(store: FeatureStore, contents: RepoContents, *, delete: bool = True) -> None:
    """Makes the registry equal to the contents; what the contents lack is deleted where `delete` says so."""
    from feast.repo_operations import extract_objects_for_apply_delete

    wanted, unwanted, _, _ = extract_objects_for_apply_delete(store.project, store.registry, contents)
    if delete:
        store.apply([*wanted], objects_to_delete=[*unwanted], partial=False)
    else:
        store.apply([*wanted], partial=True)


def keep_newest_intervals(store: FeatureStore, view: str) -> None:
    """Drops all but the newest INTERVALS_KEPT intervals of a view from the registry: Feast adds one a run to the
    view's own record, and never drops one."""
    from feast.infra.registry.sql import feature_views
    from feast.protos.feast.core.FeatureView_pb2 import FeatureView
    from sqlalchemy import select, update

    of_view = (feature_views.c.feature_view_name == view, feature_views.c.project_id == store.project)
    with store.registry.write_engine.begin() as connection:  # pyright: ignore[reportAttributeAccessIssue]
        stored = connection.execute(select(feature_views.c.feature_view_proto).where(*of_view)).scalar_one()
        record = FeatureView.FromString(stored)
        if len(record.meta.materialization_intervals) <= INTERVALS_KEPT:
            return
        del record.meta.materialization_intervals[:-INTERVALS_KEPT]
        connection.execute(update(feature_views).where(*of_view).values(feature_view_proto=record.SerializeToString()))


def historical_views(
    store: FeatureStore, service: FeatureService, *, full_feature_names: bool
) -> tuple[list[FeatureViewQueryContext], bool]:
    """What Feast writes a service's point-in-time join from, or nothing and True where on-demand views follow it."""
    from feast import utils
    from feast.infra.offline_stores.offline_utils import get_feature_view_query_context

    references = utils._get_features(store.registry, store.project, service, allow_cache=True)
    views, on_demand = utils._get_feature_views_to_use(store.registry, store.project, service)
    utils._validate_feature_refs(references, full_feature_names)
    if on_demand:
        return [], True
    return get_feature_view_query_context(references, views, store.registry, store.project, (_NEVER, _NEVER)), False


def embed_entities(store: FeatureStore) -> None:
    """Puts the entities' query into the join's: Feast would make a table of it, in whatever schema comes first."""
    from feast.infra.offline_stores.contrib.postgres_offline_store.postgres import EntitySelectMode

    offline: Any = store.config.offline_store
    offline.entity_select_mode = EntitySelectMode.embed_query


@contextmanager
def offline_connection(config: RepoConfig) -> Iterator[psycopg.Connection]:
    """A connection to the offline store, as Feast makes it."""
    from feast.infra.utils.postgres.connection_utils import _get_conn

    offline: Any = config.offline_store
    with _get_conn(offline) as connection:
        yield connection


def offline_conninfo(config: RepoConfig) -> str:
    """The same connection as libpq's text; with a password, so never for a log."""
    from feast.infra.utils.postgres.connection_utils import _get_conn_kwargs, _get_conninfo
    from psycopg.conninfo import make_conninfo

    offline: Any = config.offline_store
    named = {name: value for name, value in _get_conn_kwargs(offline).items() if value}
    # ADBC reads texts as UTF-8, whatever the database is kept in.
    return make_conninfo(_get_conninfo(offline), client_encoding="UTF8", **named)


def name_online(view: FeatureView, config: RepoConfig) -> str:
    """A view's name in Redis, of which its version is a part where the registry says so."""
    from feast.infra.online_stores.helpers import compute_versioned_name

    return compute_versioned_name(view, bool(getattr(config.registry, "enable_online_feature_view_versioning", False)))


def serving_store(folder: Path) -> FeatureStore:
    """A store of a repository's folder that never waits long, and makes no tables. Imports Feast."""
    export_optional()
    import_feast_quickly()
    from feast import FeatureStore

    names.export()
    store = FeatureStore(repo_path=str(folder))
    online, registry = store.config.online_store, store.config.registry
    if address := getattr(online, "connection_string", ""):
        setattr(online, "connection_string", f"{address},{SERVING_OPTIONS}")  # noqa: B010 - of Feast's Redis alone
    # A server makes no tables: that is the asset feast/registry's, and two makers would collide.
    setattr(registry, "schema_mode", "verify")  # noqa: B010 - of Feast's SQL registry alone
    return store


def refresh_by_hand(store: FeatureStore) -> None:
    """Keeps Feast from reading the database inside a request when its copy of the registry is old."""
    setattr(store.registry, "cache_mode", "watched")  # noqa: B010 - no attribute of the base class
