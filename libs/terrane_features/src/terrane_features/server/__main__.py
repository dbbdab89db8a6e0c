"""`python -m terrane_features.server`: one process, no worker that is recycled; at SIGTERM it ends what it began."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
from pathlib import Path
from typing import Any

from terrane_features.repository.read import locate
from terrane_features.server.logs import log_json
from terrane_features.server.settings import Settings, SettingsError, read_settings

log = logging.getLogger("terrane_features.server")
GRACE_S = 10
# Longer than the minute for which proxies keep a connection that nobody uses: who closes first must not be us.
KEEP_ALIVE_S = 75
# A thread that reads the registry gives way to requests after this long, not after Python's own 5 ms.
SWITCH_INTERVAL_S = 0.0005


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m terrane_features.server", description="Serves online features over HTTP."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=6566)
    parser.add_argument("--refresh-seconds", type=float, default=5, help="how often to look for new definitions")
    arguments = parser.parse_args()
    try:
        settings = read_settings(locate(Path("feast_repo")))
    except SettingsError as error:
        parser.error(str(error))
    log_json(os.environ.get("FEATURE_SERVER_LOG_LEVEL") or "info")
    serve(_application(settings, arguments), arguments)


def serve(app: Any, arguments: argparse.Namespace) -> None:
    """Answers until SIGTERM or SIGINT; what is under way then has GRACE_S to end."""
    import uvicorn

    from terrane_features.server.protocol import BoundedProtocol

    sys.setswitchinterval(SWITCH_INTERVAL_S)
    # What was imported lives as long as the process, and needs no collector to look at it.
    gc.freeze()
    uvicorn.run(
        app,
        host=arguments.host,
        port=arguments.port,
        http=BoundedProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )


def _application(settings: Settings, arguments: argparse.Namespace) -> Any:
    from terrane_features.server.app import App
    from terrane_features.server.registry.watch import RegistryWatcher

    if settings.access.open:
        log.warning("neither FEATURE_SERVER_API_KEYS nor a JWT is configured: whoever reaches the port may read")
    if settings.fallback_reason:
        log.warning("Feast's own code answers every question, because %s", settings.fallback_reason)
    return App(settings, RegistryWatcher(settings, arguments.refresh_seconds))


if __name__ == "__main__":
    main()
