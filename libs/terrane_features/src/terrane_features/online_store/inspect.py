"""`python -m terrane_features.online_store.inspect <feature view> <join key value>...`: an entity's row, as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from redis import RedisError

from terrane_features.online_store import format as online_format
from terrane_features.online_store.address import read_address
from terrane_features.online_store.format import Value
from terrane_features.repository.model import FeatureView
from terrane_features.repository.read import locate, read_repository

Row = dict[str, Value | object]


def main() -> int:
    """Prints the row and returns 0; 1 when Redis has none, 2 when the question cannot be asked."""
    parser = argparse.ArgumentParser(prog="python -m terrane_features.online_store.inspect", description=__doc__)
    parser.add_argument("view", help="name of a feature view")
    parser.add_argument("entity", nargs="+", help="values of its join keys, in their order")
    arguments = parser.parse_args()
    folder = locate(Path("feast_repo"))
    try:
        repository = read_repository(folder)
        view = repository.view(arguments.view)
        with read_address(folder).client() as client:
            row = inspect_row(client, repository.project, view, *arguments.entity)
    except (ValueError, RedisError) as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(row, indent=2, ensure_ascii=False, default=str))
    return 0 if row else 1


def inspect_row(client: Any, project: str, view: FeatureView, *entity: int | str) -> Row | None:
    """What Redis holds of a view for one entity: its features and `event_timestamp`; None when it holds nothing.

    Args:
        entity: the values of the view's join keys, in their order: `inspect_row(client, "terrane", view, 42)`.

    Raises ValueError for values that are no join keys of the view, and redis.RedisError.
    """
    return decode_row(view, client.hgetall(key_of(project, view, *entity)))


def key_of(project: str, view: FeatureView, *entity: int | str) -> bytes:
    """The Redis key of an entity, from the values of the view's join keys in their order. Raises ValueError."""
    if len(entity) != len(view.join_keys):
        raise ValueError(f"{view.name} is asked by {', '.join(view.key_names)}, and {len(entity)} values were given")
    typed = {name: (kind, value) for (name, kind), value in zip(view.join_keys, entity, strict=False)}
    return online_format.entity_key(project, typed)


def decode_row(view: FeatureView, stored: dict[bytes, bytes]) -> Row | None:
    """A hash as features by name; None when it has nothing of the view."""
    time = stored.get(online_format.timestamp_field(view.name))
    if time is None:
        return None
    row: Row = {
        feature.name: online_format.decode_value(stored.get(online_format.field_name(view.name, feature.name), b""))
        for feature in view.features
    }
    return {**row, "event_timestamp": online_format.decode_timestamp(time)}


if __name__ == "__main__":
    sys.exit(main())
