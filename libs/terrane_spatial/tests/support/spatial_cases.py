"""A file of `tests/cases` that was loaded: its table, what was told of it, and what would be published."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrane.postgres import PostgresResource
from terrane_spatial.loading.table_loader import Loaded
from terrane_spatial.publishing import geoparquet, postgis_export

if TYPE_CHECKING:
    import psycopg

FILES = Path(__file__).parents[1] / "cases" / "files"
RUN = "cases"


@dataclass
class Case:
    """A file that was loaded into the table `t` of a run's schema."""

    connection: psycopg.Connection
    postgres: PostgresResource
    loaded: Loaded
    folder: Path
    facts: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.facts = self.loaded.facts

    @property
    def rejected(self) -> int:
        return sum(self.facts.get("rejected", {}).values())

    @property
    def told(self) -> str:
        """All that the run's report says of the load."""
        return json.dumps(self.facts, ensure_ascii=False, default=str)

    def columns(self) -> list[str]:
        query = "select attname from pg_attribute where attrelid = 't'::regclass and attnum > 0 order by attnum"
        return [name for (name,) in self.connection.execute(query) if name != "geometry"]

    def column(self, expression: str, order: str = "1") -> list[Any]:
        """One value a row."""
        query = f"select {expression} from t order by {order}"
        return [value for (value,) in self.connection.execute(query.encode())]

    def published(self) -> geoparquet.Written:
        """The table as it is written for the lake."""
        self.connection.execute("create or replace view out_t as select * from t")
        return postgis_export.write_geoparquet(self.postgres, RUN, "t", self.folder / "t.parquet")


Load = Callable[..., Case]
