"""A FeatureStore as a server needs it: one that never waits long, and makes no tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from terrane_features.fast_import import import_feast_quickly

if TYPE_CHECKING:
    from feast import FeatureStore

# A request does not wait as long for Redis as a run does: one more try at once, for a connection that Redis closed.
HURRY = "socket_connect_timeout=2,socket_timeout=2,retry=null,retry_on_timeout=true"


def serving_store(repository: Path, module: str = "feast") -> FeatureStore:
    """A new store of a repository's folder; Feast is imported up to `module`, which takes a second."""
    import_feast_quickly(module)
    from feast import FeatureStore

    store = FeatureStore(repo_path=str(repository))
    online, registry = store.config.online_store, store.config.registry
    address = getattr(online, "connection_string", "")
    setattr(online, "connection_string", f"{address},{HURRY}")  # noqa: B010 - of Feast's Redis alone
    # A server makes no tables: that is the asset feast/registry's, and two makers would collide.
    setattr(registry, "schema_mode", "verify")  # noqa: B010 - of Feast's SQL registry alone
    return store
