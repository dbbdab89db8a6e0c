"""What repeats in this location, to be declared in a defs.yaml as `type: analytics.components.<Name>`."""

from analytics.components.daily_source_table import DailySourceTable
from analytics.components.source_table import SourceTable

__all__ = ["DailySourceTable", "SourceTable"]
