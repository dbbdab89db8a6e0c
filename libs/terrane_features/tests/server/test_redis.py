"""The shared connection: what it survives, how long it waits, and how it gets in."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from terrane_dev.servers import redis as server_of
from terrane_dev.servers.accounts import server_account
from terrane_dev.servers.process import free_port, start, stop, wait_until
from terrane_dev.testing import RedisServer, temporary_server_folder
from terrane_features.online_store.address import StoreAddress
from terrane_features.server.redis import RedisConnection, StoreUnavailable, command

pytestmark = pytest.mark.integration
PING = [command(b"PING")]


def address(server: RedisServer, port: int | None = None, **options: Any) -> StoreAddress:
    return StoreAddress("redis", (("127.0.0.1", port or server.port),), {"password": server.password, **options})


def with_link(where: StoreAddress, work: Callable[[RedisConnection], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        link = RedisConnection(where)
        try:
            return await work(link)
        finally:
            link.close()

    return asyncio.run(run())


def test_answers_come_to_those_who_asked_in_order(redis_server: RedisServer) -> None:
    async def work(link: RedisConnection) -> list[list[bytes]]:
        asked = [[command(b"ECHO", b"%d %d" % (n, m)) for m in range(n)] for n in range(1, 60)]
        return await asyncio.gather(*(link.ask(one) for one in asked))

    replies = with_link(address(redis_server), work)
    assert replies == [[b"%d %d" % (n, m) for m in range(n)] for n in range(1, 60)]


def test_a_restart_between_two_questions_costs_neither(redis_server: RedisServer) -> None:
    async def work(link: RedisConnection) -> list[Any]:
        first = await link.ask(PING)
        await asyncio.to_thread(redis_server.stop)
        await asyncio.to_thread(redis_server.start)
        return [*first, *await link.ask(PING), link.connections]

    assert with_link(address(redis_server), work) == [b"PONG", b"PONG", 2]


def test_a_question_under_way_when_the_connection_breaks_is_asked_again(redis_server: RedisServer) -> None:
    async def work(link: RedisConnection) -> Any:
        await link.ask(PING)
        with Redis(port=redis_server.port, password=redis_server.password) as other:
            other.execute_command("CLIENT", "PAUSE", "300")
            asked = asyncio.create_task(link.ask(PING))
            await asyncio.sleep(0.05)
        link._connection.close()  # pyright: ignore[reportOptionalMemberAccess]
        return await asked, link.connections

    assert with_link(address(redis_server), work) == ([b"PONG"], 2)


def test_a_redis_that_is_silent_is_given_up_in_two_seconds_and_asked_again_later(redis_server: RedisServer) -> None:
    async def work(link: RedisConnection) -> tuple[float, Any]:
        await link.ask(PING)
        with Redis(port=redis_server.port, password=redis_server.password) as other:
            other.execute_command("CLIENT", "PAUSE", "3000")
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="has not answered for 2 s"):
            await link.ask(PING)
        took = time.monotonic() - began
        await asyncio.sleep(1.2)
        return took, await link.ask(PING)

    took, reply = with_link(address(redis_server), work)
    assert 1.9 < took < 2.8
    assert reply == [b"PONG"]


def test_a_redis_that_is_away_is_named_at_once(redis_server: RedisServer) -> None:
    async def work(link: RedisConnection) -> None:
        began = time.monotonic()
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="Redis at 127.0.0.1:1, database 0: .+"):
                await link.ask(PING)
        assert time.monotonic() - began < 1

    with_link(address(redis_server, port=1), work)


def test_a_wrong_password_is_named_without_itself(redis_server: RedisServer) -> None:
    async def work(link: RedisConnection) -> str:
        with pytest.raises(StoreUnavailable) as refused:
            await link.ask(PING)
        return str(refused.value)

    said = with_link(address(redis_server, password="wrong-password"), work)
    assert "refuses us: WRONGPASS" in said
    assert "wrong-password" not in said


def test_a_user_who_may_only_read_is_enough(redis_server: RedisServer) -> None:
    password = secrets.token_hex(8)
    with Redis(port=redis_server.port, password=redis_server.password, db=5) as admin:
        admin.hset("key", "field", "value")
        admin.execute_command("ACL", "SETUSER", "reader", "on", f">{password}", "~*", "+@read", "+ping", "+select")
        try:

            async def work(link: RedisConnection) -> Any:
                asked = [command(*one.split()) for one in (b"HMGET key field", b"RANDOMKEY", b"DBSIZE", b"FLUSHDB")]
                return await link.ask(asked)

            *read, refused = with_link(address(redis_server, username="reader", password=password, db=5), work)
            assert read == [[b"value"], b"key", 1]
            assert "NOPERM" in str(refused)
        finally:
            admin.execute_command("ACL", "DELUSER", "reader")
            admin.flushdb()


def test_it_speaks_tls_to_a_server_it_can_verify_and_to_no_other(tmp_path: Path) -> None:
    program = server_of.find_program()
    assert program
    with temporary_server_folder("tls") as folder:
        key, certificate = folder / "key.pem", folder / "certificate.pem"
        made = f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {certificate} -days 2 -subj /CN=localhost"
        names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        subprocess.run([*made.split(), *names], check=True, capture_output=True)
        for file in (key, certificate):
            file.chmod(0o644)
        port, password = free_port(), secrets.token_hex(8)
        here, login = (("127.0.0.1", port),), {"password": password, "ssl": True}
        tls = f"port 0\ntls-port {port}\ntls-cert-file {certificate}\ntls-key-file {key}\ntls-auth-clients no\n"
        settings = f'bind 127.0.0.1\nrequirepass {password}\ndir {folder}\nsave ""\n{tls}'
        process = start(server_of.command(program), folder / "redis.log", account=server_account(), stdin=settings)
        try:
            trusted = StoreAddress("redis", here, {**login, "ssl_ca_certs": str(certificate)})

            def answers() -> bool:
                try:
                    return with_link(trusted, lambda link: link.ask(PING)) == [b"PONG"]
                except StoreUnavailable as error:
                    return "Connect call failed" not in str(error)

            wait_until(answers, process, folder / "redis.log", "Redis", 10)
            assert with_link(trusted, lambda link: link.ask(PING)) == [b"PONG"]
            with pytest.raises(StoreUnavailable, match="certificate verify failed"):
                with_link(StoreAddress("redis", here, login), lambda link: link.ask(PING))
        finally:
            stop(process)
