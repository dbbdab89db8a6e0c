"""A table's columns as they are declared in YAML."""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from analytics.warehouse.tables import Column


@dataclass
class ColumnSpec(dg.Resolvable):
    """A column: the field's name in the API, Postgres' type, and what it holds."""

    name: str
    type: str
    description: str


def as_columns(specs: Sequence[ColumnSpec]) -> list[Column]:
    return [Column(spec.name, spec.type, spec.description) for spec in specs]


def column_schema(columns: Sequence[Column]) -> dg.TableSchema:
    """The columns as the UI shows them."""
    return dg.TableSchema([dg.TableColumn(c.name, c.type, c.description) for c in columns])
