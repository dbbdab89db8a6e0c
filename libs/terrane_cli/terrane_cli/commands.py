"""The one way of running a program of this machine, and the error of whatever a person has to see to.

Standard library only: bootstrapping runs this before anything is installed.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

LINES_TOLD = 20


class CliError(Exception):
    """The command can't go on: the message says why, and what to do about it."""


def run(
    command: Sequence[str | Path],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
) -> str:
    """The program's output. Raises CliError, with the end of what it said, when it fails or can't be run."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words, cwd=folder, env=environment, input=stdin, timeout=timeout, capture_output=True, text=True
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise CliError(f"`{' '.join(words)}` can't be run: {problem}") from None
    if done.returncode:
        said = f"{done.stdout}\n{done.stderr}".strip().splitlines()[-LINES_TOLD:]
        raise CliError("\n  ".join([f"`{' '.join(words)}` failed with code {done.returncode}:", *said]))
    return done.stdout


def pipe(writer: Sequence[str | Path], reader: Sequence[str | Path], *, timeout: float) -> None:
    """Runs two programs, the second of which reads what the first writes.

    Raises CliError, with the end of what was said, when either fails; both have ended then.
    """
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen([str(word) for word in writer], stdout=subprocess.PIPE, stderr=said) as writing,
    ):
        assert writing.stdout is not None
        try:
            done = subprocess.run(
                [str(word) for word in reader], stdin=writing.stdout, stdout=said, stderr=said, timeout=timeout
            )
        except (OSError, subprocess.TimeoutExpired) as problem:
            writing.kill()
            raise CliError(f"`{reader[0]}` can't read what `{writer[0]}` writes: {problem}") from None
        # A reader that ended early leaves a writer that nobody hears.
        writing.stdout.close()
        codes = [(writer[0], writing.wait()), (reader[0], done.returncode)]
        if any(code for _, code in codes):
            said.seek(0)
            told = ", ".join(f"`{program}` ended with code {code}" for program, code in codes)
            raise CliError("\n  ".join([f"{told}:", *said.read().strip().splitlines()[-LINES_TOLD:]]))


def answers(command: Sequence[str | Path]) -> str | None:
    """The program's output without its last line break, or None where it fails or can't be run."""
    try:
        return run(command).strip()
    except CliError:
        return None


def show(
    command: Sequence[str | Path], *, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> int:
    """Runs the program in the foreground, where its own words are what there is to see; returns its exit code."""
    return subprocess.run([str(word) for word in command], cwd=folder, env=environment).returncode


def say(text: str) -> None:
    """Tells what was just done."""
    print(f"  {text}", flush=True)
