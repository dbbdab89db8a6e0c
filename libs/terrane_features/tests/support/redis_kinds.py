"""Redis as it is elsewhere: with TLS and users of its own, and as a cluster of three; real servers on loopback."""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis
from redis.cluster import ClusterNode, RedisCluster

from terrane_dev.servers import redis
from terrane_dev.servers.accounts import server_account, server_folder
from terrane_dev.servers.process import free_port, start, stop, wait_until
from terrane_dev.testing import temporary_server_folder

SLOTS = 16384
TIMEOUT_S = 30


@dataclass
class TlsRedis:
    """A server that speaks TLS alone; `certificate` is its own authority's."""

    port: int
    certificate: Path
    password: str

    def client(self) -> Redis:
        return Redis(port=self.port, password=self.password, ssl=True, ssl_ca_certs=str(self.certificate))


@contextmanager
def running(settings: list[str], log: Path, answers: Any) -> Iterator[None]:
    """A redis-server with those lines of configuration, until the block ends."""
    program = redis.find_program()
    assert program is not None
    process = start(redis.command(program), log, account=server_account(), stdin="\n".join([*settings, ""]))
    try:
        wait_until(answers, process, log, "Redis", TIMEOUT_S)
        yield
    finally:
        stop(process)


@contextmanager
def tls_redis() -> Iterator[TlsRedis]:
    with temporary_server_folder("redis-tls") as folder:
        key, certificate = folder / "key.pem", folder / "certificate.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        command += [
            "-addext",
            "subjectAltName=IP:127.0.0.1,DNS:localhost",
            "-keyout",
            str(key),
            "-out",
            str(certificate),
        ]
        subprocess.run(command, check=True, capture_output=True)
        account = server_account()
        for file in (key, certificate):
            if account:
                account.own(file)
        server = TlsRedis(free_port(), certificate, secrets.token_hex(12))
        settings = ["bind 127.0.0.1", "port 0", f"tls-port {server.port}", f"tls-cert-file {certificate}"]
        settings += [f"tls-key-file {key}", f"tls-ca-cert-file {certificate}", "tls-auth-clients no", f"dir {folder}"]
        settings += [f"requirepass {server.password}", 'save ""']
        with running(settings, folder / "redis.log", lambda: _answers(server.client())):
            yield server


@contextmanager
def redis_cluster(masters: int = 3) -> Iterator[tuple[list[int], str]]:
    """Ports of the masters, which share all slots, and their password."""
    password, ports = secrets.token_hex(12), [free_port() for _ in range(masters)]
    with ExitStack() as stack:
        for port in ports:
            folder = server_folder(stack.enter_context(temporary_server_folder("redis-cluster")))
            settings = ["bind 127.0.0.1", f"port {port}", f"cluster-port {free_port()}", "cluster-enabled yes"]
            settings += [f"dir {folder}", f"requirepass {password}", f"masterauth {password}", 'save ""']
            client = Redis(port=port, password=password)
            stack.enter_context(running(settings, folder / "redis.log", lambda c=client: _answers(c)))
        _join(ports, password)
        yield ports, password


def cluster_client(ports: list[int], password: str) -> RedisCluster:
    return RedisCluster(startup_nodes=[ClusterNode("127.0.0.1", port) for port in ports], password=password)


def _join(ports: list[int], password: str) -> None:
    clients = [Redis(port=port, password=password) for port in ports]
    bus = [int(client.config_get("cluster-port")["cluster-port"]) for client in clients]  # pyright: ignore[reportIndexIssue]
    share = SLOTS // len(ports)
    for number, client in enumerate(clients):
        last = SLOTS - 1 if number == len(ports) - 1 else (number + 1) * share - 1
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", number * share, last)
        client.execute_command("CLUSTER", "MEET", "127.0.0.1", ports[0], bus[0])
    until = time.monotonic() + TIMEOUT_S
    while not all(_joined(client, len(ports)) for client in clients):
        assert time.monotonic() < until, "the cluster did not form in time"
        time.sleep(0.1)


def _joined(client: Redis, masters: int) -> bool:
    info: Any = client.execute_command("CLUSTER", "INFO")
    text = info if isinstance(info, dict) else dict(line.split(":") for line in info.decode().split())
    return text["cluster_state"] == "ok" and int(text["cluster_known_nodes"]) == masters


def _answers(client: Redis) -> bool:
    from redis import RedisError

    try:
        return bool(client.ping())
    except RedisError:
        return False
