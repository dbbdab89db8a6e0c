"""Redis as it is elsewhere: with TLS and users, as a cluster, behind sentinels; real servers on loopback."""

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
def running(settings: list[str], log: Path, answers: Any) -> Iterator[subprocess.Popen]:
    """A redis-server with those lines of configuration, until the block ends."""
    program = redis.find_program()
    assert program is not None
    process = start(redis.command(program), log, account=server_account(), stdin="\n".join([*settings, ""]))
    try:
        wait_until(answers, process, log, "Redis", TIMEOUT_S)
        yield process
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
    with _nodes(masters, []) as (ports, password, _):
        _join(ports, password)
        yield ports, password


@dataclass
class Failing:
    """Servers of which one may be killed.

    Attributes:
        ports: what a client is told: nodes of the cluster, or the sentinels.
        master: the process that is to be killed; another takes over.
    """

    ports: list[int]
    password: str
    master: subprocess.Popen


@contextmanager
def failing_cluster() -> Iterator[Failing]:
    """Three masters, each with a replica that takes over 2 s after its master is gone."""
    with _nodes(6, ["cluster-node-timeout 2000", "cluster-replica-validity-factor 0"]) as (ports, password, processes):
        _join(ports[:3], password)
        for master, replica in zip(ports[:3], ports[3:], strict=True):
            _replicate(master, replica, ports, password)
        yield Failing(ports, password, processes[0])


@contextmanager
def failing_sentinels(name: str = "mymaster") -> Iterator[Failing]:
    """A Redis, its replica, and three sentinels that put the replica in its place 2 s after it is gone."""
    password = secrets.token_hex(12)
    with ExitStack() as stack:
        master, replica = free_port(), free_port()
        processes = []
        for port in (master, replica):
            folder = server_folder(stack.enter_context(temporary_server_folder("redis-failing")))
            settings = ["bind 127.0.0.1", f"port {port}", f"dir {folder}", f"requirepass {password}", 'save ""']
            settings += [f"masterauth {password}", "repl-diskless-sync-delay 0"]
            settings += [f"replicaof 127.0.0.1 {master}"] if port == replica else []
            client = Redis(port=port, password=password)
            processes.append(stack.enter_context(running(settings, folder / "redis.log", lambda c=client: _answers(c))))
        until = time.monotonic() + TIMEOUT_S
        while Redis(port=replica, password=password).info("replication")["master_link_status"] != "up":  # pyright: ignore[reportIndexIssue]
            assert time.monotonic() < until, "the replica did not come up in time"
            time.sleep(0.1)
        sentinels = [stack.enter_context(_sentinel(name, master, password)) for _ in range(3)]
        until = time.monotonic() + TIMEOUT_S
        while not all(_knows(port, name) for port in sentinels):
            assert time.monotonic() < until, "the sentinels did not find one another in time"
            time.sleep(0.1)
        yield Failing(sentinels, password, processes[0])


@contextmanager
def _sentinel(name: str, master: int, password: str) -> Iterator[int]:
    program = redis.find_program()
    assert program is not None
    port, account = free_port(), server_account()
    with temporary_server_folder("redis-sentinel") as made:
        folder = server_folder(made)
        file = folder / "sentinel.conf"
        settings = ["bind 127.0.0.1", f"port {port}", f"dir {folder}", f"sentinel monitor {name} 127.0.0.1 {master} 2"]
        settings += [f"sentinel auth-pass {name} {password}", f"sentinel down-after-milliseconds {name} 2000"]
        file.write_text("\n".join([*settings, f"sentinel failover-timeout {name} 10000", ""]))
        if account:
            account.own(file)
        log = folder / "sentinel.log"
        process = start([program, str(file), "--sentinel"], log, account=account)
        try:
            wait_until(lambda: _answers(Redis(port=port)), process, log, "a sentinel", TIMEOUT_S)
            yield port
        finally:
            stop(process)


def _knows(port: int, name: str) -> bool:
    """Whether a sentinel knows the replica and both of the others."""
    state: Any = Redis(port=port).sentinel_master(name)
    return (state["num-slaves"], state["num-other-sentinels"]) == (1, 2)


@contextmanager
def _nodes(number: int, more: list[str]) -> Iterator[tuple[list[int], str, list[subprocess.Popen]]]:
    """Empty nodes of a cluster to be: their ports, password and processes."""
    password, ports, processes = secrets.token_hex(12), [free_port() for _ in range(number)], []
    with ExitStack() as stack:
        for port in ports:
            folder = server_folder(stack.enter_context(temporary_server_folder("redis-cluster")))
            settings = ["bind 127.0.0.1", f"port {port}", f"cluster-port {free_port()}", "cluster-enabled yes", *more]
            settings += [f"dir {folder}", f"requirepass {password}", f"masterauth {password}", 'save ""']
            client = Redis(port=port, password=password)
            processes.append(stack.enter_context(running(settings, folder / "redis.log", lambda c=client: _answers(c))))
        yield ports, password, processes


def _replicate(master: int, replica: int, ports: list[int], password: str) -> None:
    """Lets a node join the cluster as the replica of a master, and waits until it holds what that one holds."""
    leader, follower = (Redis(port=port, password=password) for port in (master, replica))
    bus = int(leader.config_get("cluster-port")["cluster-port"])  # pyright: ignore[reportIndexIssue]
    follower.execute_command("CLUSTER", "MEET", "127.0.0.1", master, bus)
    until = time.monotonic() + TIMEOUT_S
    while True:
        try:
            follower.execute_command("CLUSTER", "REPLICATE", leader.execute_command("CLUSTER", "MYID"))
            break
        except Exception:
            assert time.monotonic() < until, "the replica did not join in time"
            time.sleep(0.1)
    while follower.info("replication")["master_link_status"] != "up":  # pyright: ignore[reportIndexIssue]
        assert time.monotonic() < until, "the replica did not come up in time"
        time.sleep(0.1)


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
