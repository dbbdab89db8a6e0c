"""What every attack is tried against: things it should not reach, watched by the kernel and by a listener."""

from __future__ import annotations

import ctypes
import hashlib
import os
import select
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from terrane_spatial.errors import BatchRejectedError, StageError
from terrane_spatial.files.fetch import unpack
from terrane_spatial.files.formats import FORMATS
from terrane_spatial.reading import gdal_process, vector_reader
from terrane_spatial.reading.vector_reader import Wanted
from terrane_spatial.sandbox.protocol import Limits

# inotify(7): a file was read, written, opened, made, removed or moved.
WATCHED = 0x1 | 0x2 | 0x20 | 0x40 | 0x80 | 0x100 | 0x200
MARKER = "canary-of-terrane"
UNCONFINED = """
from terrane_spatial.sandbox import child_main
child_main.confine = lambda *_: []
from terrane_spatial.reading.child.entry import prepare
child_main.main(prepare)
"""
SHORT = Limits(wall_s=60, cpu_s=20, memory_bytes=2 << 30)


@dataclass
class Canary:
    """Files outside of what a reader is given, and a port of loopback: nothing may touch them.

    Attributes:
        folder: with `secret.csv`, `secret.geojson`, `secret.xsd`, `secret.bin`.
        touched: by whom the folder was read or written, as events of the kernel.
        connections: how many were made to the port.
    """

    folder: Path
    port: int
    connections: int = 0
    _descriptor: int = -1
    _before: dict[str, str] = field(default_factory=dict)

    @property
    def secret(self) -> Path:
        return self.folder / "secret.csv"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/x"

    @property
    def touched(self) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], 0)
        return bool(ready)

    def assert_untouched(self) -> None:
        assert not self.touched, "a file of the canary was opened, read or written"
        assert tree(self.folder) == self._before
        assert self.connections == 0


def tree(folder: Path) -> dict[str, str]:
    """Every file below the folder with the hash of its content."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Canary]:
    folder = tmp_path / "outside"
    folder.mkdir()
    point = '{"type":"Feature","properties":{"password":"%s"},"geometry":{"type":"Point","coordinates":[1,2]}}'
    (folder / "secret.csv").write_text(f"user,password,x,y\nroot,{MARKER},1,2\n")
    (folder / "secret.geojson").write_text(point % MARKER)
    (folder / "secret.xsd").write_text("<schema/>")
    (folder / "secret.bin").write_bytes(MARKER.encode() * 64)
    listener = socket.create_server(("127.0.0.1", 0))
    made = Canary(folder, listener.getsockname()[1], _before=tree(folder))

    def count() -> None:
        while True:
            try:
                listener.accept()[0].close()
            except OSError:
                return
            made.connections += 1

    threading.Thread(target=count, daemon=True).start()
    libc = ctypes.CDLL(None, use_errno=True)
    made._descriptor = libc.inotify_init1(os.O_NONBLOCK)
    assert libc.inotify_add_watch(made._descriptor, os.fsencode(folder), WATCHED) > 0
    yield made
    os.close(made._descriptor)
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def confined() -> bool:
    """Whether the kernel confines the reader; a test that says it does not sees what the settings alone hold back."""
    return True


@dataclass
class Outcome:
    """What became of a file: the reason it was refused for, or all that could be read of it, as text."""

    refused: str = ""
    read: str = ""


@pytest.fixture
def attack(
    tmp_path: Path, canary: Canary, confined: bool, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Outcome]]:
    """Sends bytes as an object, reads them as a run does, and looks after the canary when the test is over."""
    place = tmp_path / "work"
    place.mkdir()
    number = iter(range(1000))
    if not confined:
        monkeypatch.setattr(gdal_process, "CHILD", [sys.executable, "-I", "-c", UNCONFINED])

    def send(content: bytes, layer: str | None = None, limits: Limits = SHORT) -> Outcome:
        folder = place / str(next(number))
        folder.mkdir()
        (folder / "object").write_bytes(content)
        outcome = Outcome()
        before: dict[Path, int] = {}
        try:
            path = unpack(folder / "object", "places", "b/places", FORMATS)
            before = {p: p.stat().st_size for p in folder.rglob("*") if p.is_file()}
            with vector_reader.read(path, "b/places", Wanted(layer), limits=limits) as (found, batches):
                outcome.read += str(found)
                for batch in batches:
                    outcome.read += str(batch.to_pylist())[:100_000]
        except (BatchRejectedError, StageError) as error:
            outcome.refused = str(error)
        sizes = {p: p.stat().st_size for p in folder.rglob("*") if p.is_file()}
        # Without the kernel's help, GDAL makes the .gfs file of a GML, and can write nothing into it.
        beside = {p: size for p, size in sizes.items() if p not in before and (confined or size)}
        assert not (before and beside), "the reader wrote beside its file"
        assert MARKER not in outcome.read + outcome.refused
        return outcome

    yield send
    canary.assert_untouched()
