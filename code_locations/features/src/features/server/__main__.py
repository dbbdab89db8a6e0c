"""`python -m features.server`: one process, no worker that is recycled, and Ctrl-C or SIGTERM ends it."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from features.feast_store import FeastResource, check_environment
from features.redis_store import RedisResource, UnsetVariables
from features.repository import RepositoryError, locate
from features.server.app import build_app
from features.server.registry_copy import RegistryCopy
from terrane.postgres import PostgresResource

GRACE_S = 5


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m features.server", description="Serves online features over HTTP.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=6566)
    parser.add_argument("--refresh-seconds", type=float, default=5, help="how often to look for new definitions")
    arguments = parser.parse_args()
    try:
        redis = RedisResource.from_process()
        repository = locate(Path("feast_repo"))
        check_environment(repository / "feature_store.yaml")
    except (UnsetVariables, RepositoryError) as error:
        parser.error(str(error))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    feast = FeastResource(repo_path=str(repository))
    definitions = RegistryCopy(feast, PostgresResource.from_process("WAREHOUSE"), arguments.refresh_seconds)

    import uvicorn

    uvicorn.run(
        build_app(definitions, redis),
        host=arguments.host,
        port=arguments.port,
        access_log=False,
        timeout_graceful_shutdown=GRACE_S,
    )


if __name__ == "__main__":
    main()
