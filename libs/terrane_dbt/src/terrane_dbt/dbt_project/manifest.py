"""The dbt project's manifest, which prepares itself: it is parsed when it is missing or older than the project.

What decides is a hash, kept beside the manifest: of the project's files, of its packages wherever they lie, of the
variables that its files read, and of dbt's version. An image that carries both never parses; a fresh clone parses once,
without a database and without the variables that name one. Where the project can't be written, as in an image whose
variables were others when it was built, the manifest lies in the temporary folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from terrane.names import VARIABLE as ENVIRONMENT
from terrane_dbt.dbt_project.profiles import FOLDER as PROFILES_FOLDER
from terrane_dbt.dbt_project.profiles import PROFILES
from terrane_dbt.dbt_project.scratch import own_folder

TARGET = "target"
MANIFEST = "manifest.json"
PARTIAL_PARSE = "partial_parse.msgpack"
STAMP = "manifest.sha256"
OUTPUTS = {TARGET, "logs"}
PACKAGES = "dbt_packages"
READ_VARIABLE = re.compile(rb"env_var\(\s*['\"](\w+)")
CHATTER = ("Running with", "Registered adapter", "Unable to do partial parsing", "Performance info")
CONNECTION = {"HOST": "unset", "PORT": "0", "USER": "unset", "PASSWORD": "unset", "DB": "unset"}


class ManifestFailed(RuntimeError):
    """The project cannot be parsed; the message carries dbt's own."""


def ensure_manifest(
    project: Path,
    profiles: Path | None = None,
    variables: Mapping[str, Any] | None = None,
    environment: str = "",
) -> Path:
    """The manifest of the project as it is now.

    Args:
        profiles: the folder of its profiles.yml; by default its own.
        variables: dbt's `--vars`.
        environment: whose names of schemas it has. That of none is the one of asset keys, and in an image is there
            already; another costs a parse in each pod.

    Raises:
        ManifestFailed: dbt cannot parse the project; no manifest is written.
    """
    target = project / TARGET / "environments" / environment if environment else project / TARGET
    digest = f"{content_hash(project, profiles, variables)}{environment}"
    if _is_of(target, digest):
        return target / MANIFEST
    target = _writable(target, digest)
    with (target / ".lock").open("w") as lock:
        # Code server, run and command line may all load the definitions at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_of(target, digest):
            _parse(project, profiles or project, target, variables, environment)
            (target / STAMP).write_text(digest)
    return target / MANIFEST


def keep_partial_parse(project: Path, scratch: Path) -> None:
    """Lets the next build begin from what this one parsed, in place of what was parsed with other connections.

    dbt parses everything again, for 2 s, when host, port, user or database are not those of the last time. Where the
    project's folder cannot be written, as in an image, every build does.
    """
    made = scratch / PARTIAL_PARSE
    if made.exists():
        with contextlib.suppress(OSError):
            replacement = project / TARGET / f".{scratch.name}.{PARTIAL_PARSE}"
            shutil.copyfile(made, replacement)
            replacement.replace(project / TARGET / PARTIAL_PARSE)


def content_hash(project: Path, profiles: Path | None = None, variables: Mapping[str, Any] | None = None) -> str:
    """Of the names and bytes of the project's files and packages, its profiles, what variables they read, and dbt's
    version.

    The variables that name the warehouse and the environment are left out: parsing does not see them either.
    """
    digest = hashlib.sha256(f"{version('dbt-core')} {version('dbt-postgres')}".encode())
    digest.update(json.dumps(dict(variables or {}), sort_keys=True).encode())
    read = set[str]()
    elsewhere = [profiles / PROFILES] if profiles and profiles != project else []
    for file in [*sorted(_files(project)), *elsewhere]:
        content = file.read_bytes()
        read |= {name.decode() for name in READ_VARIABLE.findall(content)}
        place = file.name if file in elsewhere else file.relative_to(project).as_posix()
        digest.update(f"\0{place}\0".encode())
        digest.update(content)
    for name in sorted(read - {ENVIRONMENT} - {f"WAREHOUSE_{part}" for part in CONNECTION}):
        digest.update(f"\0{name}={os.environ.get(name)}".encode())
    return digest.hexdigest()


def _files(project: Path) -> list[Path]:
    """The files that dbt reads; a package of a folder elsewhere is a link to it, and is followed once."""
    found: list[Path] = []
    seen = set[Path]()
    for folder, names, files in os.walk(project, followlinks=True):
        here, real = Path(folder), Path(folder).resolve()
        if real in seen:
            names[:] = []
            continue
        seen.add(real)
        written_here = here == project or here.parent == project / PACKAGES
        names[:] = [n for n in names if not n.startswith(".") and not (written_here and n in OUTPUTS)]
        found.extend(here / f for f in files if not f.startswith("."))
    return found


def _writable(target: Path, digest: str) -> Path:
    """The folder to parse into."""
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=target):
            return target
    except OSError:
        return own_folder(digest[:16])


def _is_of(target: Path, digest: str) -> bool:
    stamp = target / STAMP
    return (target / MANIFEST).exists() and stamp.exists() and stamp.read_text() == digest


def _parse(project: Path, profiles: Path, target: Path, variables: Mapping[str, Any] | None, named: str) -> None:
    environment = {f"WAREHOUSE_{name}": value for name, value in CONNECTION.items()} | os.environ
    # Asset keys are made of schemas, and are the same in every environment; an image carries one manifest for all.
    environment[ENVIRONMENT] = named
    environment[PROFILES_FOLDER] = str(profiles)
    with tempfile.TemporaryDirectory(dir=target, prefix="parse-") as scratch:
        if (target / PARTIAL_PARSE).exists():
            shutil.copy(target / PARTIAL_PARSE, scratch)
        arguments = [
            "parse",
            "--project-dir",
            str(project),
            "--target-path",
            scratch,
            "--log-path",
            scratch,
            "--no-use-colors",
            *(["--vars", json.dumps(dict(variables))] if variables else []),
        ]
        done = subprocess.run(
            [sys.executable, "-m", "dbt.cli.main", *arguments],
            env=environment,
            cwd=project,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise ManifestFailed(
                f"dbt cannot parse the project in {project}: {_said(done.stdout)}. Mend the file it names, then load "
                "the definitions again; `dbt parse` in that folder says more"
            )
        for name in (PARTIAL_PARSE, MANIFEST):
            if (made := Path(scratch, name)).exists():
                made.replace(target / name)


def _said(output: str) -> str:
    """dbt's message without its times, on one line."""
    lines = [line.split("  ", 1)[-1].strip() for line in output.splitlines()]
    return " ".join([line for line in lines if line and not line.startswith(CHATTER)][-12:])
