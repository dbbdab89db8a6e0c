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
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from terrane.names import VARIABLE as ENVIRONMENT

TARGET = "target"
MANIFEST = "manifest.json"
PARTIAL_PARSE = "partial_parse.msgpack"
STAMP = "manifest.sha256"
PROJECT, PROFILES = "dbt_project.yml", "profiles.yml"
OUTPUTS = {TARGET, "logs"}
PACKAGES = "dbt_packages"
READ_VARIABLE = re.compile(rb"env_var\(\s*['\"](\w+)")
CHATTER = ("Running with", "Registered adapter", "Unable to do partial parsing", "Performance info")
CONNECTION = {"HOST": "unset", "PORT": "0", "USER": "unset", "PASSWORD": "unset", "DB": "unset"}


class ManifestFailed(RuntimeError):
    """The project cannot be parsed; the message carries dbt's own."""


def ensure_manifest(project: Path) -> Path:
    """The manifest of the project as it is now.

    Raises:
        ManifestFailed: dbt cannot parse the project; no manifest is written.
    """
    target, digest = project / TARGET, content_hash(project)
    if _is_of(target, digest):
        return target / MANIFEST
    target = _writable(target, digest)
    with (target / ".lock").open("w") as lock:
        # Code server, run and command line may all load the definitions at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_of(target, digest):
            _parse(project, target)
            (target / STAMP).write_text(digest)
    return target / MANIFEST


def profiles_folder(project: Path) -> Path:
    """DBT_PROFILES_DIR, where that has the project's profile, or the project's own folder.

    The variable is the platform's, and a location beside may have a project with a profile of another name.
    """
    named = os.environ.get("DBT_PROFILES_DIR")
    file = Path(named, PROFILES) if named else None
    if file is None or not file.is_file():
        return project
    # What a profile holds is dbt's to read: it is Jinja, in which names of profiles stand alone.
    declared = re.search(r"^profile:\s*[\"']?([\w-]+)", (project / PROJECT).read_text(), re.MULTILINE)
    has_it = declared and re.search(rf"^[\"']?{re.escape(declared[1])}[\"']?:", file.read_text(), re.MULTILINE)
    return file.parent if has_it else project


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


def content_hash(project: Path) -> str:
    """Of the names and bytes of the project's files and packages, what variables they read, and dbt's version.

    The variables that name the warehouse and the environment are left out: parsing does not see them either.
    """
    digest = hashlib.sha256(f"{version('dbt-core')} {version('dbt-postgres')}".encode())
    variables = set[str]()
    for file in sorted(_files(project)):
        content = file.read_bytes()
        variables |= {name.decode() for name in READ_VARIABLE.findall(content)}
        digest.update(f"\0{file.relative_to(project).as_posix()}\0".encode())
        digest.update(content)
    for name in sorted(variables - {ENVIRONMENT} - {f"WAREHOUSE_{part}" for part in CONNECTION}):
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
        target.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=target):
            return target
    except OSError:
        elsewhere = Path(tempfile.gettempdir(), f"terrane-dbt-{os.getuid()}-{digest[:16]}")
        elsewhere.mkdir(mode=0o700, exist_ok=True)
        return elsewhere


def _is_of(target: Path, digest: str) -> bool:
    stamp = target / STAMP
    return (target / MANIFEST).exists() and stamp.exists() and stamp.read_text() == digest


def _parse(project: Path, target: Path) -> None:
    environment = {f"WAREHOUSE_{name}": value for name, value in CONNECTION.items()} | os.environ
    # Asset keys are made of schemas, and are the same in every environment; an image carries one manifest for all.
    environment.pop(ENVIRONMENT, None)
    environment["DBT_PROFILES_DIR"] = str(profiles_folder(project))
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
