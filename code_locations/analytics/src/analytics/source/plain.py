"""Rows as a source has them made rows of the table: fields under the columns' names, values as JSON would have them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from analytics.source.paging import ABSENT, lookup
from analytics.source.window import Row
from analytics.warehouse.tables import Column
from analytics.warehouse.values import INTEGERS

WHOLE = re.compile(r"[+-]?[0-9]{1,40}")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True)
class Field:
    """Where a column's value is in the source's row.

    Attributes:
        column: as the table has it.
        path: the field, as `user.id`.
        optional: a row that lacks the field has null there; otherwise the source's form has changed.
    """

    column: Column
    path: str
    optional: bool = False


def select(row: Mapping[str, Any], fields: Sequence[Field]) -> Row:
    """The columns' values; without those that the row lacks and that are not optional."""
    found = {}
    for field in fields:
        value = lookup(row, field.path)
        if value is not ABSENT:
            found[field.column.name] = value
        elif field.optional:
            found[field.column.name] = None
    return found


def plain(value: Any) -> Any:
    """A driver's value as JSON would have it, so that one module decides what a column takes."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def from_text(column: Column, text: str) -> Any:
    """A cell's text as the column's type has it; as it is where it is not of that form, to be refused by it."""
    kind = column.type.lower().partition(" ")[0]
    if kind in INTEGERS:
        return int(text) if WHOLE.fullmatch(text) else text
    if kind.startswith(("double", "real", "numeric")):
        # A double has 15 digits that are sure, and a numeric as many as are written.
        exact = Decimal if kind.startswith("numeric") else float
        return exact(text) if NUMBER.fullmatch(text) else text
    return BOOLEANS.get(text.lower(), text) if kind.startswith("bool") else text
