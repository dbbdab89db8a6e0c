"""`make feast-repositories FOLDER=...`: every Feast repository below a folder, as stock Feast and as ours have it.

Each is copied, and keeps its project and its definitions; the stores are the benchmark's. A table that a view names is
made with rows at random where all of its types are known, and what it serves is compared as well. Of the others the
registry and what our assets are made from are compared. A repository that stock Feast itself refuses is not counted.
"""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import tempfile
import traceback
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.features.stores import stores
from benchmarks.report import merge_figures

SETTINGS = "feature_store.yaml"
PROJECT = re.compile(r"^project:\s*[\"']?([A-Za-z0-9_]+)", re.MULTILINE)
ROWS = 14


@dataclass
class Published:
    """A repository that somebody published, in the form in which one made at random is compared.

    Attributes:
        sql: makes and fills the tables of `views`.
        views: those that are served.
    """

    source: Path
    project: str
    views: list[Any] = field(default_factory=list)
    services: list[str] = field(default_factory=list)
    sql: list[tuple[str, list[Any] | None]] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path, settings: str) -> None:
        shutil.copytree(self.source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".git", SETTINGS))
        (folder / SETTINGS).write_text(f"project: {self.project}\n{settings}")


def compare_published(folder: Path, command: str) -> None:
    """Compares all of them, prints each outcome, and keeps the numbers."""
    from compared import Sides

    found: dict[str, list[str]] = {}
    with stores() as both:
        for place in sorted(file.parent for file in folder.rglob(SETTINGS)):
            outcome, why = _compare(Sides(both.warehouse, both.online), place)
            found.setdefault(outcome, []).append(str(place.relative_to(folder)))
            print(f"{place.relative_to(folder)}: {outcome}{': ' + why if why else ''}", flush=True)
    different = found.get("different", [])
    compared = len(found.get("equal", [])) + len(found.get("equal, served too", [])) + len(different)
    figures: dict[str, float] = {
        "published_repositories_compared": compared,
        "published_repositories_different": len(different),
    }
    merge_figures("features", figures, {"command": command, "repeats": 1})


def _compare(sides: Any, place: Path) -> tuple[str, str]:
    """The outcome, and why it is not equality."""
    from compared import compare_definitions, compare_served

    named = PROJECT.search((place / SETTINGS).read_text())
    if not named or not any(place.rglob("*.py")):
        return "no repository", "feature_store.yaml names no project, or there are no definitions"
    published = Published(place, named[1])
    try:
        with (
            tempfile.TemporaryDirectory(prefix="terrane-published-") as folder,
            contextlib.redirect_stdout(io.StringIO()),
        ):
            _read(published, Path(folder) / "read")
            with sides.repository(published, Path(folder)) as (stock, ours):
                compare_definitions(stock, ours)
                served = bool(published.views) and compare_served(published, stock, ours)  # pyright: ignore[reportArgumentType]
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        by_stock = any(frame.name in ("_apply_by_stock", "_read") for frame in frames)
        why = f"{frames[-1].name}: {type(error).__name__}: {str(error)[:300]}"
        return ("refused by stock" if by_stock else "different"), why
    return ("equal, served too" if served else "equal"), ""


def _read(published: Published, copy: Path) -> None:
    """Finds the views whose tables can be made, and the services that are made of those alone."""
    from repositories import Entity, View

    from terrane_features.feast_internals import parse_repository

    copy.mkdir()
    published.write(copy, "provider: local\n")
    contents = parse_repository(copy).contents
    entities = {entity.name: entity for entity in contents.entities}
    for view in contents.feature_views:
        if made := _table(view, entities):
            keys, columns = made
            published.sql += columns
            of = [Entity(key, key, key, kind, True) for key, kind in keys.items()]
            features = {feature.name: str(feature.dtype) for feature in view.features}
            published.views.append(View(view.name, of, features, "", bool(view.online)))
    served = {view.name for view in published.views if view.online}
    for service in contents.feature_services:
        if {projection.name for projection in service.feature_view_projections} <= served:
            published.services.append(service.name)


def _table(view: Any, entities: dict[str, Any]) -> tuple[dict[str, str], list[tuple[str, list[Any] | None]]] | None:
    """The view's keys by type, and what makes and fills its table; None where a type is not known."""
    from repositories import ENTITIES, KEY_TYPES, NOW, TYPES

    source = view.batch_source
    table = type(source).__name__ == "PostgreSQLSource" and source._postgres_options._table
    declared = {column.name: column.dtype.to_value_type().name for column in view.entity_columns}
    keys = {entities[n].join_key: entities[n].value_type.name for n in view.entities if n in entities}
    keys = {key: declared.get(key, kind) for key, kind in keys.items()}
    kinds = {feature.name: str(feature.dtype) for feature in view.features}
    if not table or not keys or not {*keys.values()} <= {*KEY_TYPES} or not {*kinds.values()} <= {*TYPES}:
        return None
    columns = {mapped: column for column, mapped in (source.field_mapping or {}).items()}
    typed = {key: KEY_TYPES[kind][1] for key, kind in keys.items()} | {f: TYPES[k][0] for f, k in kinds.items()}
    times = [name for name in (source.timestamp_field, source.created_timestamp_column) if name]
    named = {columns.get(name, name): kind for name, kind in typed.items()} | dict.fromkeys(times, "timestamptz")
    listed = ", ".join(f'"{name}" {kind}' for name, kind in named.items())
    statements: list[tuple[str, list[Any] | None]] = [(f"drop table if exists {table}", None)]
    if "." in table:
        statements.insert(0, (f"create schema if not exists {table.rpartition('.')[0]}", None))
    statements.append((f"create table {table} ({listed})", None))
    marks = ", ".join("%s" for _ in named)
    for row in range(ROWS):
        of = row % ENTITIES
        values = [f"k{of}" if kind == "STRING" else of for kind in keys.values()]
        values += [TYPES[kind][1](row) for kind in kinds.values()] + [NOW - timedelta(hours=7 * row + 1) for _ in times]
        statements.append((f"insert into {table} values ({marks})", values))  # noqa: S608 - its own name
    return keys, statements
