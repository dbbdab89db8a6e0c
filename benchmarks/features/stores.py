"""A warehouse and an online store of the benchmark's own, and the table that is materialised."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from terrane_dev.servers import postgres, redis
from terrane_dev.servers.accounts import server_account
from terrane_dev.servers.process import free_port, start, wait_until
from terrane_dev.testing import START_TIMEOUT_S, PostgresServer, RedisServer, temporary_server_folder

if TYPE_CHECKING:
    from redis import Redis

DATABASE = "benchmark"
# Eight features of a user: counts, measures with nulls, a flag, a name of few values and one of many.
TABLE_SQL = """
    create schema if not exists gold;
    create table gold.users_{rows} (
        user_id bigint primary key, event_timestamp timestamptz not null, sessions_7d bigint, events_30d bigint,
        avg_session_s double precision, conversion double precision, days_since_last int, is_active bool, plan text,
        last_campaign text
    );
    insert into gold.users_{rows}
    select u, '2026-01-01Z'::timestamptz + (u * 7919 % 8000000) * interval '1.000123 s', u * 31 % 40,
        u * 7907 % 100003, (u * 104729 % 360007) / 100.0, case when u % 10 = 0 then null else (u % 997) / 997.0 end,
        (u % 90)::int, u % 3 = 0, (array['free', 'basic', 'pro', 'team'])[1 + u % 4], 'campaign ' || u * 7919 % 50021
    from generate_series(1::bigint, {rows}) u;
    analyze gold.users_{rows};
"""


class MemoryRedis(RedisServer):
    """Redis that keeps nothing on disk: its log of commands would be measured with everybody's writes."""

    def start(self) -> None:
        settings = redis.configuration(self.port, self.password, self.data) + "appendonly no\n"
        self._process = start(redis.command(self.program), self.log, account=server_account(), stdin=settings)
        wait_until(lambda: redis.answers(self.port, self.password), self._process, self.log, "Redis", START_TIMEOUT_S)


@dataclass(frozen=True)
class Stores:
    """Both servers, running."""

    warehouse: PostgresServer
    online: MemoryRedis

    def environment(self) -> dict[str, str]:
        """What a contender's process finds its stores by."""
        return os.environ | {
            "WAREHOUSE_HOST": "127.0.0.1",
            "WAREHOUSE_PORT": str(self.warehouse.port),
            "WAREHOUSE_USER": postgres.SUPERUSER,
            "WAREHOUSE_PASSWORD": self.warehouse.password,
            "WAREHOUSE_DB": DATABASE,
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(self.online.port),
            "REDIS_PASSWORD": self.online.password,
        }

    def pids(self) -> list[int]:
        """Of both servers."""
        return [self.warehouse._process.pid, self.online._process.pid]

    def sql(self, statement: str) -> None:
        """Statements of the warehouse's superuser."""
        with postgres.administer(self.warehouse.port, self.warehouse.password, DATABASE) as connection:
            connection.execute(statement.encode())

    def make_table(self, rows: int) -> None:
        self.sql(TABLE_SQL.format(rows=rows))

    def drop_table(self, rows: int) -> None:
        self.sql(f"drop table gold.users_{rows}")

    def empty_redis(self) -> None:
        with self._client() as client:
            client.flushall()

    def keys(self) -> int:
        """How many keys Redis has."""
        with self._client() as client:
            return int(client.dbsize())  # pyright: ignore[reportArgumentType]

    def _client(self) -> Redis:
        from redis import Redis

        return Redis(port=self.online.port, password=self.online.password)


@contextmanager
def stores() -> Iterator[Stores]:
    """Starts both, on free ports, and ends them, also where the process is told to end."""
    with _unwinding_at_sigterm(), _running() as both:
        yield both


@contextmanager
def _unwinding_at_sigterm() -> Iterator[None]:
    """SIGTERM ends the process as an exception does: by itself it would leave every server behind."""

    def end(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _running() -> Iterator[Stores]:
    installation, program = postgres.find_installation(), redis.find_program()
    if installation is None or program is None:
        raise SystemExit("the benchmark needs Postgres and redis-server on this machine: `make setup` installs them")
    with temporary_server_folder("bench-postgres") as left, temporary_server_folder("bench-redis") as right:
        password = secrets.token_hex(12)
        data = postgres.make_cluster(installation, left / "data", password)
        warehouse = PostgresServer(installation, data, left / "postgres.log", free_port(), password)
        online = MemoryRedis(program, right, right / "redis.log", free_port(), secrets.token_hex(12))
        warehouse.start()
        try:
            online.start()
            try:
                postgres.ensure_database(warehouse.port, password, DATABASE, postgres.SUPERUSER)
                yield Stores(warehouse, online)
            finally:
                online.stop()
        finally:
            warehouse.stop()
