"""Dagster components that more than one location uses: `type: terrane.components.<Name>` in a defs.yaml."""

from terrane.components.scheduled_job import ScheduledJob

__all__ = ["ScheduledJob"]
