"""What the tests of the whole share: the checkout, and its locations."""

from __future__ import annotations

import pytest

from terrane_cli.project import Project

# Servers start where a test asks for one.
pytest_plugins = ["terrane_dev.managed_stores"]


@pytest.fixture(scope="session")
def project() -> Project:
    return Project.here()
