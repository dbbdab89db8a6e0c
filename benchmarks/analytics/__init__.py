"""What becomes of dbt projects that were written elsewhere."""
