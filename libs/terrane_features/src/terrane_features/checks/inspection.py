"""What is found out of a view's table before a row of it is written, in the snapshot that is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from terrane_features.checks import history
from terrane_features.checks.rows import Faults, find_faults
from terrane_features.checks.statistics import NotMeasured, Statistics, measure
from terrane_features.materialize import verify
from terrane_features.materialize.snapshot import Source, Window, newest_rows
from terrane_features.repository.model import FeatureView
from terrane_features.repository.table_schema import read_columns

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql


class NotWritten(ValueError):
    """The table has rows that nothing certain can be served from."""


@dataclass
class Inspection:
    """What was found. Empty until `run` was called; `run` is what `materialize` calls once it knows the window.

    Attributes:
        sample: a few entities with their rows as they are in gold, for the canary.
        before, statistics: of the last run and of this one; without `statistics`, `unmeasured` says why.
    """

    view: FeatureView
    project: str
    faults: Faults | None = None
    sample: list[dict[str, Any]] = field(default_factory=list)
    before: Statistics | None = None
    statistics: Statistics | None = None
    unmeasured: str = ""
    _rows: sql.Composed | None = None

    def run(self, connection: psycopg.Connection, window: Window, view: FeatureView) -> None:
        """Takes the view with the types that the registry has.

        Raises NotWritten when keys or times are missing, or an entity has two rows of one time.
        """
        self.view = view
        self.faults = find_faults(connection, view, window.end)
        refuse(view, self.faults)
        columns = [*view.key_names, *(feature.name for feature in view.features)]
        rows = newest_rows(Source.of(view), columns, window.end, unique=not self.faults.repeated)
        self.sample = verify.sample(connection, rows, window.rows)
        self._rows = rows

    def measure(self, connection: psycopg.Connection, window: Window, _: float) -> None:
        """Counts the features in the snapshot that was written; without `statistics` where that takes too long."""
        assert self._rows is not None
        view, rows = self.view, self._rows
        self.before = history.last(connection, self.project, view.name)
        types = read_columns(connection, view)
        try:
            self.statistics = measure(connection, view, types, rows, window.rows, self.before)
        except NotMeasured as error:
            self.unmeasured = str(error)


def refuse(view: FeatureView, faults: Faults) -> None:
    """Raises NotWritten, which names columns, counts and examples, unless the table is without fault."""
    problems = [f"{count} rows of {view.table} have no {name}" for name, count in faults.without.items()]
    if faults.ambiguous:
        who = "; ".join(faults.examples)
        problems.append(
            f"{faults.ambiguous} entities of {view.table} have several rows of one time, so that chance would decide"
            f" which is served (among them {', '.join(view.key_names)} {who})"
        )
    if problems:
        raise NotWritten(
            f"Nothing was written of {view.name}: {', and '.join(problems)}. Correct the dbt model, and test it for"
            " not_null and unique there; then materialise again."
        )
