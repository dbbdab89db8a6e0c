"""A dbt project as assets of Dagster: components, manifest, failures."""
