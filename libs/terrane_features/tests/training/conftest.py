"""A repository of two views with histories, applied over stores that are empty."""

from __future__ import annotations

import pytest
from histories import TABLES, VIEWS

from terrane_features.registry.apply import register


@pytest.fixture
def players(stores):
    """Stores over the views above, applied."""
    for file in stores.feast.folder.glob("*.py"):
        file.unlink()
    (stores.feast.folder / "players.py").write_text(VIEWS)
    stores.sql("drop schema gold cascade")
    stores.sql(TABLES)
    register(stores.feast, stores.warehouse, allow_deletions=False, run_id="test")
    return stores
