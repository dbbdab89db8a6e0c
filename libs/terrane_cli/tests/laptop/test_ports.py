"""Platforms that start at the same moment have ports of their own; a process that lost its port is not called up."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from terrane_cli.laptop.platform import Platform
from terrane_cli.laptop.ports import reserved, strangers
from terrane_cli.laptop.services import Service
from terrane_cli.laptop.settings import Settings
from terrane_cli.project import Project
from terrane_dev.servers.process import ServerFailed

pytestmark = pytest.mark.unit

# Chooses a port that nobody else has chosen, and says which; ends when its input does.
CHOOSE = """
import sys
from pathlib import Path
from terrane_cli.laptop.ports import reserved

chosen = []
def choose(others):
    chosen.append(next(port for port in range(4000, 5000) if port not in others))
    return chosen

with reserved(choose, Path(sys.argv[1])):
    print(*chosen, flush=True)
    sys.stdin.read()
"""


def choosing(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHOOSE, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def chosen_by(process: subprocess.Popen[str]) -> int:
    assert process.stdout
    return int(process.stdout.readline())


def test_commands_that_start_at_once_choose_different_ports_until_they_end(tmp_path: Path) -> None:
    together = [choosing(tmp_path) for _ in range(3)]
    assert sorted(map(chosen_by, together)) == [4000, 4001, 4002]
    seen: list[frozenset[int]] = []

    def choose(others: frozenset[int]) -> list[int]:
        seen.append(others)
        return []

    together[0].kill()
    together[0].wait()
    with reserved(choose, tmp_path):
        pass
    for process in together[1:]:
        process.communicate("")
    with reserved(choose, tmp_path):
        pass
    assert [len(ports) for ports in seen] == [2, 0]
    assert list(tmp_path.glob("*.json")) == []


def test_what_another_program_left_in_the_folder_is_no_ports(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_text("{")
    (tmp_path / f"{os.getppid()}.json").write_text(json.dumps({"began": 0, "ports": [4000]}))
    with reserved(lambda others: list(others) or [1], tmp_path):
        assert json.loads((tmp_path / f"{os.getpid()}.json").read_text())["ports"] == [1]


def test_a_process_and_its_children_are_no_strangers_to_its_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert strangers(port, os.getpid()) == set()
        assert strangers(port, os.getppid()) == set()
        other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        assert strangers(port, other.pid) == {os.getpid()}
        other.communicate(b"")
        assert strangers(port, other.pid) == {os.getpid()}


SHARING = """
import socket, sys, time
with socket.socket() as listening:
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.bind(("127.0.0.1", int(sys.argv[1])))
    listening.listen()
    time.sleep(60)
"""


@pytest.mark.parametrize("shares", [True, False], ids=["shares the port", "has not come to it"])
def test_a_process_that_lost_its_port_is_stopped_and_not_called_up(project: Project, shares: bool) -> None:
    platform, told = Platform(project), []
    port = platform.settings.ports["webserver"]
    command = [sys.executable, "-c", SHARING, str(port)] if shares else [shutil.which("sleep") or "sleep", "60"]
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        try:
            with pytest.raises(ServerFailed, match=f"webserver lost its port {port} to process {os.getpid()}; start"):
                platform._start_all([Service("webserver", command, lambda: True)], told.append)
            assert platform.supervisor.running() == {}
        finally:
            platform.down()
    assert told == []


# A platform of one process, which answers with the folder of its state.
PLATFORM = """
import sys
from pathlib import Path
from terrane_cli.laptop import platform, ports
from terrane_cli.laptop.services import Service, answers_http
from terrane_cli.project import Project

project = Project(Path(sys.argv[1]))
mine = platform.Platform(project)
with ports.reserved(lambda chosen: mine._move_ports(print, chosen), Path(sys.argv[2])):
    port = str(mine.settings.ports["webserver"])
    command = [sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1", "--directory", str(project.state)]
    ready = lambda: answers_http(f"http://127.0.0.1:{port}/")
    mine._start_all([Service("webserver", command, ready)], print)
"""


def test_two_platforms_that_start_at_once_have_each_its_own(project: Project, tmp_path_factory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    clones = [project, Project(Path(shutil.copytree(project.root, elsewhere / "clone")))]
    for clone in clones:
        clone.state.mkdir()
        (clone.state / "whose").write_text(str(clone.root))
    command = [sys.executable, "-c", PLATFORM]
    started = [subprocess.Popen([*command, str(clone.root), str(elsewhere / "ports")]) for clone in clones]
    try:
        assert [process.wait(60) for process in started] == [0, 0]
        urls = [Settings.load(clone).url("webserver") for clone in clones]
        for url, clone in zip(urls, clones, strict=True):
            with urllib.request.urlopen(f"{url}/whose", timeout=5) as answer:
                assert answer.read().decode() == str(clone.root)
    finally:
        for clone in clones:
            Platform(clone).down()
