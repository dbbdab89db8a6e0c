"""A platform whose runs may be in processes of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from spatial_platform import Platform

from terrane_spatial.intake.ledger import LedgerResource


@pytest.fixture
def instance(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """An instance in a folder, and the environment that processes of the platform read."""
    home = tmp_path / "home"
    home.mkdir()
    compute = platform.compute
    platform.ledger = LedgerResource(**compute.model_dump(include={"host", "port", "user", "password", "database"}))
    values = {
        "DAGSTER_HOME": str(home),
        "PYTHONPATH": str(Path(__file__).parents[1] / "support"),
        "MINIO_ENDPOINT": platform.store.endpoint,
        "MINIO_ROOT_USER": "none",
        "MINIO_ROOT_PASSWORD": "none",
        "POSTGRES_HOST": compute.host,
        "POSTGRES_PORT": compute.port,
        "POSTGRES_USER": compute.user,
        "POSTGRES_PASSWORD": compute.password,
        "POSTGRES_DB": compute.database,
        "POSTGRES_LEDGER_DB": compute.database,
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as made:
        platform.instance = made
        yield made
