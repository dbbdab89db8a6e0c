"""Real stores for the tests of what the locations share."""

pytest_plugins = ["terrane_dev.testing", "terrane_dev.managed_stores"]
