"""Whose key is it: many projects and entities in one Redis, of which one is counted, compared and emptied."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from feast.infra.online_stores.helpers import _redis_key
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from redis import Redis

from terrane_dev.testing import RedisServer
from terrane_features.online_store import format as online_format
from terrane_features.online_store import rows as online_rows

# Each is another's beginning or end, or says something to a glob, to a hash slot or to a reader of the key.
PROJECTS = ["prod", "nonprod", "prod2", "p", "d", "*", "?rod", "[p]rod", "prod*", "pro\\d", "{prod}", "pröd", "a^-z"]
PROJECTS += ["\x02\x00\x00\x00\x04\x00\x00\x00prod", "prod\x00", "od"]
NAMES = ["id", "user_id", "i", "d", "[x]", "*", "näme", "id\x00"]
TEXTS = ["", "prod", "nonprod", "xprod", "*", "{a}", "7", "prodprod", "\x00\x00"]


def some_entity(random_: random.Random) -> tuple[list[str], list[Any]]:
    names = random_.sample(NAMES, random_.randint(1, 3))
    values = [
        random_.choice(
            [
                Value(int64_val=random_.choice([0, 1, -1, 2**62, int.from_bytes(b"prodprod", "little") >> 1])),
                Value(int32_val=random_.randint(-9, 9)),
                Value(string_val=random_.choice(TEXTS)),
                Value(bytes_val=random_.choice(TEXTS).encode()),
            ]
        )
        for _ in names
    ]
    return names, values


def keys_of(seed: int) -> dict[tuple[str, tuple[str, ...]], set[bytes]]:
    """Feast's own keys of random entities, by project and join keys."""
    random_ = random.Random(seed)
    found: dict[tuple[str, tuple[str, ...]], set[bytes]] = {}
    for _ in range(400):
        project, (names, values) = random_.choice(PROJECTS), some_entity(random_)
        key = _redis_key(project, EntityKey(join_keys=names, entity_values=values))
        found.setdefault((project, tuple(sorted(names))), set()).add(key)
    return found


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    with Redis(port=redis_server.port, password=redis_server.password, db=23) as client:
        yield client
        client.flushdb()


@pytest.mark.unit
@pytest.mark.parametrize("seed", range(20))
def test_a_key_is_of_its_own_project_and_entity_and_of_no_other(seed: int) -> None:
    made = keys_of(seed)
    everything = {key for keys in made.values() for key in keys}
    for (project, names), own in made.items():
        prefix = online_format.key_prefix(list(names))
        assert {key for key in everything if online_rows.is_of(key, prefix, len(names), project)} == own


@pytest.mark.unit
def test_a_key_that_is_cut_short_is_nobodys() -> None:
    key = online_format.entity_key("prod", {"id": ("INT64", 7)})
    prefix = online_format.key_prefix(["id"])
    assert online_rows.is_of(key, prefix, 1, "prod")
    assert not any(online_rows.is_of(key[:n], prefix, 1, "prod") for n in range(len(key)))


@pytest.mark.integration
@pytest.mark.parametrize("seed", range(3))
def test_nobody_elses_bytes_change_when_one_projects_view_is_removed(redis: Redis, seed: int) -> None:
    made = keys_of(seed)
    values = {online_format.timestamp_field("v"): b"t", online_format.field_name("v", "f"): b"1", b"_ts:other": b"t"}
    for key in (key for keys in made.values() for key in keys):
        redis.hset(key, mapping=values)  # pyright: ignore[reportArgumentType]
    for (project, names), own in list(made.items())[:12]:
        before = {key: redis.hgetall(key) for key in redis.keys("*")}  # pyright: ignore[reportGeneralTypeIssues]
        found = [key for some in online_rows.scan(redis, project, names) for key in some.to_pylist()]
        assert set(found) == own
        assert online_rows.remove_rows(redis, "v", ("f",), pa.array(found, pa.binary())) == len(found)
        after = {key: redis.hgetall(key) for key in redis.keys("*")}  # pyright: ignore[reportGeneralTypeIssues]
        assert {key for key in before if before[key] != after[key]} <= own
        assert all(after[key] == {b"_ts:other": b"t"} for key in own)
