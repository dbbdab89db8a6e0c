"""What a repository declares, as plain data: views, services and the repository itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

# Feast's value types of join keys that are written online: Feast itself has no bytes for a number with a fraction, a
# truth value, a UUID or a list as a key.
KEY_TYPES = {"BYTES", "INT32", "INT64", "STRING"}


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
        join_keys: names and Feast value types (`INT64`) of the columns that identify a row, in its entities' order; a
            type is empty where Feast takes it from the table.
        table: `schema.table` of the warehouse, or what a person calls the query.
        created_column: when the row was written; empty where the source names none.
        ttl: how old a row may be to count; None where the definition sets no limit.
        relation: the table or query as SQL, as it stands after `from`; empty for `table` itself.
        schema: where an unqualified name is looked for, as Feast does.
        upstream: the tables that are read, as (schema, table).
        place: file and line of the definition.
        field_mapping: the columns that the view knows under other names.
        problem: why the view cannot be materialised; empty when it can.
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
    relation: str = ""
    schema: str = "public"
    upstream: tuple[tuple[str, ...], ...] = ()
    place: str = ""
    problem: str = ""
    field_mapping: dict[str, str] = field(default_factory=dict, hash=False)

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
class Problem:
    """A file that cannot be imported: where, and why."""

    place: str
    message: str


@dataclass(frozen=True)
class Repository:
    """A repository's content; `digest` changes with any byte of its files, and with nothing else.

    Attributes:
        problems: files that could not be read; what they declare is not among the views and services.
    """

    project: str
    digest: str
    views: tuple[FeatureView, ...]
    services: tuple[FeatureService, ...]
    problems: tuple[Problem, ...] = ()

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
