"""The words of location.yaml that commands know: a module of its own, for pydantic would cost each of them 0.1 s."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What makes the location: its library, `libs/terrane_<kind>`; `plain` has none."""

    PLAIN = "plain"
    DBT = "dbt"
    SPATIAL = "spatial"
    FEATURES = "features"


class Need(StrEnum):
    """What the platform gives the location: an address in variables, and the password for it."""

    WAREHOUSE = "warehouse"
    SPATIAL = "spatial"
    ONLINE_STORE = "online_store"
    LAKE = "lake"
    SOURCE = "source"
    FEATURE_SERVER = "feature_server"


class Server(StrEnum):
    """Where a location's own database is: on the warehouse's server, or on that of PostGIS, with its extension."""

    POSTGRES = "postgres"
    POSTGIS = "postgis"


def own_database(name: str) -> str:
    """The name of the location's own database, and of the role that owns it: no other account's."""
    return f"location_{name}"
