"""What a run of a table that is taken whole may do, when somebody says so."""

from dataclasses import replace

import dagster as dg

from analytics.warehouse.loading import Whole


class Allowed(dg.Config):
    allow_fewer_rows: bool = False

    def of(self, merge: Whole) -> Whole:
        """The merge as this run is to do it."""
        return replace(merge, least_kept=0) if self.allow_fewer_rows else merge
