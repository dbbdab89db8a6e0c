"""Two programs, of which one reads what the other writes: whatever ends badly is told, and nothing is left running."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from terrane_cli.commands import CliError, pipe

WRITE = "import sys; sys.stdout.write('x' * 1_000_000)"
COPY = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.stdin.read())"
IGNORE = "import sys; print('no such cluster', file=sys.stderr); sys.exit(3)"
WAIT = "import time; time.sleep(60)"


def python(code: str, *words: str) -> list[str]:
    return [sys.executable, "-c", code, *words]


def test_what_the_first_writes_is_what_the_second_reads(tmp_path: Path) -> None:
    pipe(python(WRITE), python(COPY, str(tmp_path / "read")), timeout=20)
    assert (tmp_path / "read").stat().st_size == 1_000_000


def test_a_reader_that_fails_is_told_in_its_own_words_and_ends_the_writer() -> None:
    with pytest.raises(CliError, match="no such cluster"):
        pipe(python(WRITE), python(IGNORE), timeout=20)


def test_a_writer_that_fails_is_told_though_its_reader_was_content(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="ended with code 1"):
        pipe(python("raise SystemExit('no such image')"), python(COPY, str(tmp_path / "read")), timeout=20)


def test_a_reader_that_takes_too_long_ends_both() -> None:
    began = time.monotonic()
    with pytest.raises(CliError, match="timed out"):
        pipe(python(WAIT), python(WAIT), timeout=1)
    assert time.monotonic() - began < 20
