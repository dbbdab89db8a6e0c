"""Components for dbt projects: `type: terrane_dbt.components.<Name>` in a defs.yaml."""

from terrane_dbt.components.dbt_models import DbtModels

__all__ = ["DbtModels"]
