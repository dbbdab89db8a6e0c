"""What Feast's registry says of a feature service: its columns, its keys, and the views as the join needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from terrane_features.feast_internals import historical_views
from terrane_features.materialize.snapshot import names, type_name
from terrane_features.training.failures import NoSuchService
from terrane_features.training.join import JoinedView

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore
    from feast.infra.offline_stores.offline_utils import FeatureViewQueryContext


@dataclass(frozen=True)
class Registered:
    """A service as it is registered.

    Attributes:
        features: the columns that it adds.
        views: what they are read from; empty where Feast computes on-demand views from all rows at once.
    """

    service: FeatureService
    features: tuple[str, ...]
    views: tuple[JoinedView, ...]

    @property
    def keys(self) -> list[str]:
        """The columns that a question needs beside its moment."""
        return sorted({asked for view in self.views for _, asked in view.keys})


def registered(store: FeatureStore, connection: psycopg.Connection, name: str, *, full: bool) -> Registered:
    """Looks the service up. Raises NoSuchService; psycopg.Error for a source that has not the keys."""
    from feast.errors import FeatureServiceNotFoundException

    try:
        service = store.get_feature_service(name)
    except FeatureServiceNotFoundException as error:
        raise NoSuchService(f"{name} is not in Feast's registry: materialise feast/registry first") from error
    contexts, on_demand = historical_views(store, service, full_feature_names=full)
    if on_demand:
        projections = service.feature_view_projections
        found = [f"{p.name_to_use()}__{f.name}" if full else f.name for p in projections for f in p.features]
        return Registered(service, tuple(found), ())
    views = tuple(_joined(connection, context, full) for context in contexts)
    return Registered(service, tuple(called for view in views for _, called in view.features), views)


def _joined(connection: psycopg.Connection, context: FeatureViewQueryContext, full: bool) -> JoinedView:
    selections = zip(context.entity_selections, context.entities, strict=True)
    keys = sorted(((text.removesuffix(f" AS {asked}"), asked) for text, asked in selections), key=lambda key: key[1])
    prefix = f"{context.name}__" if full else ""
    return JoinedView(
        context.table_subquery,
        tuple(keys),
        _types(connection, context.table_subquery, [column for column, _ in keys]),
        tuple((column, prefix + context.field_mapping.get(column, column)) for column in context.features),
        context.timestamp_field,
        context.created_timestamp_column or "",
        context.ttl,
    )


def _types(connection: psycopg.Connection, relation: str, columns: Sequence[str]) -> tuple[str, ...]:
    if not columns:
        return ()
    text = sql.SQL(relation)  # pyright: ignore[reportArgumentType]
    query = sql.SQL("select {} from {} as sub limit 0").format(names(columns), text)
    description = connection.execute(query).description or []
    return tuple(type_name(connection, column.type_code) for column in description)
