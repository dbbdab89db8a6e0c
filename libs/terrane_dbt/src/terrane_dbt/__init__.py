"""A dbt project as assets of Dagster: components, manifest, failures."""

# Before anything imports dagster-dbt.
from terrane_dbt.dbt_project import light_import as light_import
