"""The tests that run a line of code, from one run of all of them under coverage, with a context for each test.

Processes that handle hostile files get a clean environment, in which coverage sees nothing: for code that only they
load, the tests are those of its room, and of the files that loaders change.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
from pathlib import Path

from tests.mutation.checkout import Room

MOST = 40


class ChosenTests:
    """Which tests notice something of a line, at most MOST of them: those that run the least other code come first."""

    def __init__(self, room: Room, state: Path, tests: list[str]):
        self._room = room
        file = _kept(room, state, tests)
        if not file.exists():
            file.write_text(json.dumps(_measured(room, state, tests)))
        self._lines: dict[str, dict[str, list[str]]] = json.loads(file.read_text())
        self._sizes: dict[str, int] = {}
        for lines in self._lines.values():
            for names in lines.values():
                for name in names:
                    self._sizes[name] = self._sizes.get(name, 0) + 1

    def of(self, module: Path, first: int, last: int) -> list[str]:
        lines = self._lines.get(str(module.relative_to(self._room.root)), {})
        found = {name for line in range(first, last + 1) for name in lines.get(str(line), [])}
        if found:
            return sorted(found, key=lambda name: (self._sizes[name], name))[:MOST]
        tests = self._room.library / "tests"
        rooms = [part for part in module.parts if (tests / part).is_dir() and part not in ("tests", "support")]
        return [str(tests / name) for name in (*rooms[-1:], "cases") if (tests / name).is_dir()] or [str(tests)]


def _kept(room: Room, state: Path, tests: list[str]) -> Path:
    """Where the lines of a library's tests at a commit are: measured once for all its rooms."""
    commit = subprocess.run(["git", "-C", room.root, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    digest = hashlib.sha256(json.dumps([commit.stdout, tests]).encode()).hexdigest()[:16]
    return state.parent / f"{room.library.name}-{digest}.json"


def _measured(room: Room, state: Path, tests: list[str]) -> dict[str, dict[str, list[str]]]:
    data = state / "coverage"
    command = [
        room.python,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--cov={room.code.parent}",
        "--cov-context=test",
    ]
    environment = {"COVERAGE_FILE": str(data), "PATH": "/usr/bin:/bin:/usr/local/bin"}
    done = subprocess.run([*command, "--cov-report=", *tests], cwd=room.library, env=environment, check=False)
    if done.returncode:
        raise SystemExit("the tests fail without any fault; mend them first")
    made: dict[str, dict[str, list[str]]] = {}
    with sqlite3.connect(data) as connection:
        query = (
            "select file.path, context.context, line_bits.numbits from line_bits "
            "join file on file.id = file_id join context on context.id = context_id where context.context <> ''"
        )
        for path, context, bits in connection.execute(query):
            if not Path(path).is_relative_to(room.root):
                continue
            lines = made.setdefault(str(Path(path).relative_to(room.root)), {})
            for line in (8 * at + bit for at, byte in enumerate(bits) for bit in range(8) if byte >> bit & 1):
                lines.setdefault(str(line), []).append(context.partition("|")[0])
    return made
