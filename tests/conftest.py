"""What the tests of the whole share: the checkout, and its locations."""

from __future__ import annotations

import pytest

from terrane_cli.project import Project


@pytest.fixture(scope="session")
def project() -> Project:
    return Project.here()
