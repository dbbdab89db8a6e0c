"""That the watch over what attacks may not reach sees what it should: a watch that never cries is none."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pyogrio
import pytest

from terrane_spatial.sandbox import confinement

pytestmark = [
    pytest.mark.unit,
    pytest.mark.skipif(sys.platform != "linux", reason="the watch is inotify's, and the confinement the kernel's"),
]

CONFINED = """
import socket, subprocess, sys
from terrane_spatial.sandbox.confinement import confine, program_folders
inside, outside = sys.argv[1:]
print(sorted(confine([*program_folders(), inside])))
open(inside + "/in.txt").read()
for attempt in (
    lambda: open(outside + "/secret.csv"),
    lambda: open("/etc/passwd"),
    lambda: open(inside + "/new", "w"),
    lambda: open(outside + "/new", "w"),
    lambda: socket.socket(),
    lambda: subprocess.run(["/bin/true"]),
):
    try:
        attempt()
    except PermissionError:
        continue
    print("not forbidden")
"""
KERNEL_CONFINES = confinement.ctypes.CDLL(None).syscall(confinement.CREATE_RULESET, None, 0, 1) > 0


def test_the_canary_sees_a_file_that_is_opened(canary) -> None:
    assert not canary.touched
    canary.secret.read_text()
    assert canary.touched


def test_the_canary_sees_a_file_that_is_made(canary) -> None:
    (canary.folder / "new").touch()
    with pytest.raises(AssertionError):
        canary.assert_untouched()


def test_the_canary_sees_a_connection(canary) -> None:
    socket.create_connection(("127.0.0.1", canary.port)).close()
    deadline = time.monotonic() + 5
    while not canary.connections and time.monotonic() < deadline:
        time.sleep(0.01)
    assert canary.connections == 1


def test_gdal_as_it_comes_reads_what_a_document_points_at(canary, tmp_path: Path) -> None:
    trap = tmp_path / "x.geojson"
    source = f"<SrcDataSource>CSV:{canary.secret}</SrcDataSource><SrcLayer>secret</SrcLayer>"
    trap.write_text(f'<OGRVRTDataSource><OGRVRTLayer name="secret">{source}</OGRVRTLayer></OGRVRTDataSource>')
    assert "password" in list(pyogrio.read_info(trap)["fields"])
    assert canary.touched


@pytest.mark.skipif(not KERNEL_CONFINES, reason="this kernel has no Landlock")
def test_a_confined_process_reads_its_folder_and_nothing_else(canary, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "in.txt").write_text("x")
    command = [sys.executable, "-I", "-c", CONFINED, str(inside), str(canary.folder)]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    assert (done.stdout, done.stderr) == ("['calls', 'files']\n", "")
    canary.assert_untouched()
