"""What repeats in this location, to be declared in a defs.yaml as `type: analytics.components.<Name>`."""

from analytics.components.daily_source_table import DailySourceTable
from analytics.components.external_table import ExternalTable
from analytics.components.forgetting import Forgetting
from analytics.components.lake_export import LakeExport
from analytics.components.lake_table import LakeTable
from analytics.components.source_table import SourceTable

__all__ = ["DailySourceTable", "ExternalTable", "Forgetting", "LakeExport", "LakeTable", "SourceTable"]
