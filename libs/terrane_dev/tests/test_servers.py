"""Servers come up on loopback with a password, go by pid, and say why when they fail."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from terrane_dev.servers import accounts, postgres, redis
from terrane_dev.servers.process import ServerFailed, free_port, port_is_free, start, stop, tail, wait_until
from terrane_dev.testing import PostgresServer, RedisServer


@pytest.mark.integration
def test_a_password_is_needed_to_enter(postgres_server: PostgresServer, redis_server: RedisServer) -> None:
    assert postgres.answers(postgres_server.port, postgres_server.password)
    assert not postgres.answers(postgres_server.port, "another")
    assert redis.answers(redis_server.port, redis_server.password)
    assert not redis.answers(redis_server.port, "another")


@pytest.mark.integration
def test_passwords_are_on_no_command_line(postgres_server: PostgresServer, redis_server: RedisServer) -> None:
    lines = [p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline")] if Path("/proc/self").exists() else []
    for password in (postgres_server.password, redis_server.password):
        assert not any(password.encode() in line for line in lines)


@pytest.mark.integration
def test_a_server_that_was_stopped_comes_back_with_its_data(redis_server: RedisServer) -> None:
    assert "+OK" in _ask(redis_server, "SET kept yes")
    redis_server.stop()
    assert port_is_free(redis_server.port)
    redis_server.start()
    assert "yes" in _ask(redis_server, "GET kept")


@pytest.mark.integration
def test_making_a_cluster_again_keeps_the_one_there_is(postgres_server: PostgresServer) -> None:
    before = (postgres_server.data / "PG_VERSION").stat().st_mtime_ns
    postgres.make_cluster(postgres_server.installation, postgres_server.data, "another password")
    assert (postgres_server.data / "PG_VERSION").stat().st_mtime_ns == before
    assert postgres.answers(postgres_server.port, postgres_server.password)


@pytest.mark.unit
def test_a_process_that_ends_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    process = start([sys.executable, "-c", "print('no room left'); raise SystemExit(3)"], log)
    with pytest.raises(ServerFailed, match=r"Server ended with code 3: no room left \(the whole log: .*server.log\)"):
        wait_until(lambda: False, process, log, "Server", timeout_s=20)


@pytest.mark.unit
def test_a_process_that_never_answers_is_told_after_its_time(tmp_path: Path) -> None:
    process = start([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "log")
    with pytest.raises(ServerFailed, match="Server did not answer within 0 s"):
        wait_until(lambda: False, process, tmp_path / "log", "Server", timeout_s=0.2)
    stop(process)
    assert process.returncode is not None


@pytest.mark.unit
def test_a_process_that_ignores_the_polite_signal_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("terrane_dev.servers.process.STOP_TIMEOUT_S", 0.5)
    ready = tmp_path / "ready"
    code = f"import signal, time; signal.signal(15, signal.SIG_IGN); open({str(ready)!r}, 'w'); time.sleep(60)"
    process = start([sys.executable, "-c", code], tmp_path / "log")
    wait_until(ready.exists, process, tmp_path / "log", "Server", timeout_s=20)
    stop(process)
    assert process.returncode == -9


@pytest.mark.unit
def test_a_free_port_is_free() -> None:
    assert port_is_free(free_port())


@pytest.mark.unit
def test_of_a_port_that_this_user_may_not_bind_counts_whether_somebody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise PermissionError(13, "Permission denied")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port, nobodys = listening.getsockname()[1], free_port()
        monkeypatch.setattr(socket.socket, "bind", refuse)
        assert not port_is_free(port)
        assert port_is_free(nobodys)


@pytest.mark.unit
def test_a_log_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    assert tail(tmp_path / "none") == "(no log)"


def _ask(server: RedisServer, command: str) -> str:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(f"AUTH {server.password}\r\n{command}\r\nQUIT\r\n".encode())
        return "".join(iter(lambda: connection.recv(4096).decode(), ""))


@pytest.mark.integration
@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes to another account")
def test_below_a_closed_folder_the_server_gets_one_it_can_enter(tmp_path: Path) -> None:
    closed = tmp_path / "home"
    closed.mkdir(mode=0o700)
    account = accounts.server_account()
    folder = accounts.server_folder(closed / "data")
    try:
        assert account is not None
        assert (closed / "data").resolve() == folder
        assert folder.parent == Path("/var/tmp")
        assert folder.stat().st_uid == account.uid
        assert accounts.server_folder(closed / "data") == folder
    finally:
        folder.rmdir()
