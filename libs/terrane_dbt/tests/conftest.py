"""A real warehouse for the tests of dbt projects."""

pytest_plugins = ["terrane_dev.testing"]
