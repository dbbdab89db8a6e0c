"""A code server whose definitions do not load is told from one whose do, though both answer Dagster."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from terrane.pods.code_server import NotReady, require_healthy, require_loaded
from terrane_dev.servers.process import free_port, start, stop, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.slow]

GOOD = "import dagster as dg\ndefs = dg.Definitions()\n"
BAD = "import a_library_nobody_installed\n"
START_TIMEOUT_S = 90


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str], int]]:
    """Starts a code server of a module with this text, and returns its port once Dagster finds it healthy."""
    with ExitStack() as stack:

        def ensure(text: str) -> int:
            port = free_port()
            (tmp_path / "served.py").write_text(text)
            command = [sys.executable, "-m", "dagster", "code-server", "start", "-m", "served", "--port", str(port)]
            process = start(command, tmp_path / "server.log", folder=tmp_path)
            stack.callback(stop, process)
            wait_until(lambda: _healthy(port), process, tmp_path / "server.log", "the code server", START_TIMEOUT_S)
            return port

        yield ensure


def test_definitions_that_load_are_well(serve: Callable[[str], int]) -> None:
    port = serve(GOOD)
    require_loaded(port)
    require_healthy(port)


def test_definitions_that_do_not_load_are_refused_with_the_error(serve: Callable[[str], int]) -> None:
    with pytest.raises(NotReady, match="do not load: .*No module named 'a_library_nobody_installed'"):
        require_loaded(serve(BAD))


def test_a_server_that_does_not_listen_yet_is_told_without_importing_dagster() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "terrane.pods.code_server", str(free_port())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "yet" in done.stderr.splitlines()[-1]
    assert "| dagster" not in done.stderr


def test_a_port_where_nobody_answers_is_not_healthy() -> None:
    with pytest.raises(NotReady, match="does not answer"):
        require_healthy(free_port())


def test_asking_for_health_imports_no_dagster() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "terrane.pods.code_server", "--health", str(free_port())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "| dagster" not in done.stderr


def _healthy(port: int) -> bool:
    """By Dagster's own command, which this one must agree with."""
    command = [sys.executable, "-m", "dagster", "api", "grpc-health-check", "-p", str(port)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
