"""What the kernel keeps from every process that handles hostile content, whatever that content makes of the process."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import terrane_spatial
from terrane_spatial.reading import gdal_process
from terrane_spatial.sandbox import child_process, confinement, gdal_settings
from terrane_spatial.sandbox.control import FOLDER
from terrane_spatial.sandbox.protocol import Limits

pytestmark = [pytest.mark.unit, pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the cage")]

LIBRARY = Path(terrane_spatial.__file__).parent
KERNEL_CONFINES = confinement.ctypes.CDLL(None).syscall(confinement.CREATE_RULESET, None, 0, 1) > 0
# Attempts get the folder that is theirs, one that is not, and a process beside them.
ATTEMPTS = {
    "signal another process": "os.kill(victim, signal.SIGTERM)",
    "signal the parent": "os.kill(os.getppid(), 0)",
    "signal a thread of another process": "call('tgkill', victim, victim, 15)",
    "limit another process": "resource.prlimit(victim, resource.RLIMIT_NOFILE, (8, 8))",
    "raise its own limit": "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))",
    "change a mode": "os.chmod(outside + '/secret.csv', 0o777)",
    "change a mode of its own": "os.chmod(inside, 0o777)",
    "change times": "os.utime(outside + '/secret.csv', (0, 0))",
    "change an attribute": "os.setxattr(outside + '/secret.csv', 'user.x', b'x')",
    "change an owner": "os.chown(outside + '/secret.csv', 12, 12)",
    "fork": "os.fork()",
    "fork as subprocess does": "subprocess.Popen(['/bin/true'])",
    "share memory": "call('shmget', 77, 4096, 0o1600)",
    "leave its group": "os.setsid()",
    "have another take its signals": "fcntl.fcntl(0, fcntl.F_SETOWN, victim)",
    "trace another": "call('ptrace', 16, victim, 0, 0)",
    "read another's memory": "open(f'/proc/{victim}/mem', 'rb')",
    "open a socket": "socket.socket()",
    "make a pair of sockets": "socket.socketpair()",
    "start a program": "os.execv('/bin/true', ['true'])",
    "write a file": "open(inside + '/new', 'w')",
    "write over a file": "open(inside + '/in.txt', 'r+')",
}
CAGED = """
import ctypes, fcntl, os, resource, signal, socket, subprocess, sys, threading
from terrane_spatial.sandbox.confinement import confine, program_folders
attempt, inside, outside, victim = *sys.argv[1:4], int(sys.argv[4])
libc = ctypes.CDLL(None, use_errno=True)
numbers = {"tgkill": (234, 131), "shmget": (29, 194), "ptrace": (101, 117)}
def call(name, *arguments):
    if libc.syscall(numbers[name][os.uname().machine == "aarch64"], *arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
assert confine([*program_folders(), inside]) == ["files", "calls"]
threading.Thread(target=lambda: open(inside + "/in.txt").read()).start()
try:
    exec(attempt)
except PermissionError:
    print("forbidden", end="")
"""
LEAVES_ONE_BEHIND = """
import os, sys, time
if os.fork() == 0:
    time.sleep(60)
print(os.getpid(), flush=True)
time.sleep({seconds})
"""


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    assert process.poll() is None, "it was ended by what was in the cage"
    process.kill()
    process.wait()


@pytest.mark.skipif(not KERNEL_CONFINES, reason="this kernel has no Landlock")
@pytest.mark.parametrize("what", ATTEMPTS)
def test_a_confined_process_cannot(what: str, canary: Any, victim: Any, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "in.txt").write_text("x")
    command = [sys.executable, "-c", CAGED, ATTEMPTS[what], str(inside), str(canary.folder), str(victim.pid)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("forbidden", "", 0)
    canary.assert_untouched()


def children() -> list[str]:
    """Every module of the library that is run as a process which handles content."""
    found = [path for path in LIBRARY.rglob("*.py") if "child_main import main" in path.read_text()]
    return sorted(".".join(("terrane_spatial", *path.relative_to(LIBRARY).with_suffix("").parts)) for path in found)


def control(name: str, folder: Path) -> Path:
    """The control file of a format, unpacked."""
    shutil.unpack_archive(FOLDER / f"{name}.zip", folder)
    return next(path for path in folder.iterdir() if path.is_file())


def request_of(module: str, folder: Path) -> dict[str, Any]:
    """What the module is asked for a file in the folder, by its own room."""
    if module.endswith("journal_child"):
        path = folder / "x.gpkg"
        with sqlite3.connect(path) as connection:
            connection.execute("create table t (a)")
        return {"path": str(path)}
    if ".rasters." in module:
        path = control("geotiff", folder)
        told = {"driver": "GTiff", "title": "GeoTIFF", "name": "x", "crs": "EPSG:4326", "layer": None}
        target = str(folder / "o.tif")
        return {"path": str(path), "target": target, **told, "categories": False, "decoded_bytes": 1 << 30}
    if module.endswith("extra_formats_child"):
        path = folder / "x.parquet"
        table = pa.table({"geometry": pa.array([b""], pa.binary()), "bbox": pa.array([None])})
        pq.write_table(table, path)
        return {
            "source": str(path),
            "target": str(folder / "x.fgb"),
            "driver": "FlatGeobuf",
            "layer": "x",
            "geometry_type": "Unknown",
            "dataset_options": {},
            "layer_options": {},
            "epsg": 4326,
            "bbox": "bbox",
            "wrap": False,
        }
    path = control("geojson", folder).rename(folder / "x.geojson")
    source = {"path": str(path), "driver": "GeoJSON", "title": "GeoJSON", "layer": None, "encoding": None}
    return {
        "source": {**source, "options": {}, "times": {}},
        "places": None,
        "keys": None,
        "by_hand": False,
        "batch_rows": 10,
        "batch_bytes": 1 << 20,
        "strict": False,
        "crs": None,
        "most_bytes": 1 << 20,
        "settings": gdal_settings.of_file("GeoJSON"),
    }


def test_there_are_children_in_every_room_that_handles_content() -> None:
    rooms = {module.split(".")[1] for module in children()}
    assert rooms == {"files", "publishing", "rasters", "reading"}


@pytest.mark.skipif(not KERNEL_CONFINES, reason="this kernel has no Landlock")
@pytest.mark.parametrize("module", children())
def test_every_child_reads_and_writes_nothing_but_the_folders_it_was_given(module: str, tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    request = {**request_of(module, outside), "limits": Limits(written_bytes=1 << 20).of_process()}
    before = {path: path.read_bytes() for path in outside.iterdir()}
    environment = {
        **(gdal_settings.raster_environment("GTiff", "COG", "MEM") if ".rasters." in module else {}),
        **(gdal_settings.environment("FlatGeobuf") if "extra" in module else gdal_settings.hardened()),
    }
    folders = {"readable": [str(inside)], "writable": [str(inside)] if "target" in request or "path" in request else []}
    refused = child_process.ask(module, {**request, **folders}, environment, 60)
    assert refused.returncode, refused.stdout[:200]
    assert {path: path.read_bytes() for path in outside.iterdir()} == before
    allowed = {name: [str(outside)] for name in folders}
    done = child_process.ask(module, {**request, **allowed}, environment, 60)
    assert done.returncode == 0, (done.stderr, done.stdout)


def test_what_a_process_started_ends_with_it() -> None:
    process = gdal_process.GdalProcess([sys.executable, "-c", LEAVES_ONE_BEHIND.format(seconds=0)])
    leader = int(process.output.readline())
    process.popen.wait()
    assert members(leader)
    process.end()
    assert gone(leader)


def test_what_a_process_started_holds_nobody_up_beyond_its_time() -> None:
    """What is left behind keeps the pipe open, which would be read for a minute."""
    begun = time.monotonic()
    module = [sys.executable, "-c", LEAVES_ONE_BEHIND.format(seconds=30)]
    process = gdal_process.GdalProcess(module)
    leader = int(process.output.readline())
    process.kill()
    process.output.read()
    assert time.monotonic() - begun < 10
    assert gone(leader)
    process.end()


def members(group: int) -> list[int]:
    """The processes of a group."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


def gone(group: int) -> bool:
    deadline = time.monotonic() + 5
    while members(group) and time.monotonic() < deadline:
        time.sleep(0.01)
    left = members(group)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return not left
