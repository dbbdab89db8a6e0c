"""What takes in this location's batches, and tidies up after runs that could not do so themselves."""

from terrane_spatial.intake.sensor import manifests
from terrane_spatial.runs.sweeper import cancelled_runs, failed_runs, sweeper, sweeps

__all__ = ["cancelled_runs", "failed_runs", "manifests", "sweeper", "sweeps"]
