"""`python -m terrane_features.look <feature view> <join key value>...`: what Redis holds for somebody, as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from redis import RedisError

from terrane_features.redis_store import RedisResource, UnsetVariables
from terrane_features.repository import locate, read_repository


def main() -> int:
    """Prints the row and returns 0; 1 when Redis has none, 2 when the question cannot be asked."""
    parser = argparse.ArgumentParser(prog="python -m terrane_features.look", description=__doc__)
    parser.add_argument("view", help="name of a feature view")
    parser.add_argument("entity", nargs="+", help="values of its join keys, in their order")
    arguments = parser.parse_args()
    try:
        repository = read_repository(locate(Path("feast_repo")))
        view = repository.view(arguments.view)
        row = RedisResource.from_process().look(repository.project, view, *arguments.entity)
    except (UnsetVariables, ValueError, RedisError) as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(row, indent=2, ensure_ascii=False, default=str))
    return 0 if row else 1


if __name__ == "__main__":
    sys.exit(main())
