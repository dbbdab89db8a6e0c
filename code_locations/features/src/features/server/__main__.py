"""`python -m features.server`: one process, no worker that is recycled, and Ctrl-C or SIGTERM ends it."""

from __future__ import annotations

import argparse
import logging
import os

from features.feast_store import FeastResource
from features.redis_store import RedisResource
from features.server.app import build_app
from features.server.definitions import Definitions


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m features.server", description="Serves online features over HTTP.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=6566)
    parser.add_argument("--refresh-seconds", type=float, default=5, help="how often to look for new definitions")
    arguments = parser.parse_args()
    missing = sorted(v for v in ("FEAST_REPO_PATH", "REDIS_HOST", "REDIS_PORT") if not os.environ.get(v))
    if missing:
        parser.error(f"set {', '.join(missing)} in the environment")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    redis = RedisResource(
        host=os.environ["REDIS_HOST"],
        port=os.environ["REDIS_PORT"],
        db=os.environ.get("REDIS_DB", "0"),
        password=os.environ.get("REDIS_PASSWORD", ""),
    )
    definitions = Definitions(FeastResource(repo_path=os.environ["FEAST_REPO_PATH"]), arguments.refresh_seconds)

    import uvicorn

    uvicorn.run(build_app(definitions, redis), host=arguments.host, port=arguments.port, access_log=False)


if __name__ == "__main__":
    main()
