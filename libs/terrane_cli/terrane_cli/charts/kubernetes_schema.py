"""The official chart's schemas without a network: Kubernetes' definitions, which they look up by URL, put into them.

The definitions are those of the PyPI package kubernetes-validate, at its version in requirements-dev.lock. The oldest
Kubernetes it has is taken, the nearest to the one that the chart names.
"""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import re
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from terrane_cli.charts.references import Schema, needed, references
from terrane_cli.commands import CliError, run
from terrane_cli.project import Project
from terrane_cli.setup.environments import find_uv

PACKAGE = "kubernetes-validate"
REMOTE = re.compile(r"https?://[^#]+/_definitions\.json#/definitions/(?P<name>[^/]+)(?P<rest>/.*)?")
EMBEDDED = "#/$defs/kubernetes/"


def embed(packed: Path, target: Path, project: Project, cache: Path) -> int:
    """Copies a packed chart to `target` with its schemas' remote references embedded; returns how many there were.

    The same chart gives the same bytes. Raises CliError for a reference that is no definition of Kubernetes'.
    """
    with tarfile.open(packed) as old:
        files = [(m, f.read()) for m in old.getmembers() if m.isfile() and (f := old.extractfile(m))]
    schemas = {m.name: json.loads(data) for m, data in files if m.name.endswith("values.schema.json")}
    remote = sum(1 for schema in schemas.values() for _ in _remote_references(schema))
    if remote:
        known = _definitions(project, cache)
        files = [(m, _embedded(schemas[m.name], known) if m.name in schemas else data) for m, data in files]
    _pack(files, target)
    return remote


def _embedded(schema: Schema, known: Schema) -> bytes:
    for holder, found in list(_remote_references(schema)):
        if not found or found["name"] not in known:
            raise CliError(f"the chart's schema refers to {holder['$ref']}, for which {PACKAGE} has no definition")
        holder["$ref"] = EMBEDDED + found["name"] + (found["rest"] or "")
    if taken := needed(schema, known, EMBEDDED):
        schema.setdefault("$defs", {})["kubernetes"] = taken
    return json.dumps(schema, sort_keys=True).encode()


def _remote_references(schema: Schema) -> Iterator[tuple[Schema, re.Match[str] | None]]:
    for holder in references(schema):
        if holder["$ref"].startswith(("http://", "https://")):
            yield holder, REMOTE.fullmatch(holder["$ref"])


def _pack(files: list[tuple[tarfile.TarInfo, bytes]], target: Path) -> None:
    # gzip writes the time of packing unless it is given one.
    with (
        target.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as new,
    ):
        for member, data in files:
            entry = tarfile.TarInfo(member.name)
            entry.size, entry.mode = len(data), 0o644
            new.addfile(entry, io.BytesIO(data))


def _definitions(project: Project, cache: Path) -> Schema:
    """Kubernetes' definitions by name, from the cache; the first time from the package, installed for it if need be."""
    requirement = _requirement(project)
    version = requirement.split()[0].split("==")[1]
    kept = cache / f"kubernetes-definitions-{version}.json"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        text = _read_package(project, requirement)
        partial = kept.with_suffix(".partial")
        partial.write_text(text.replace('"#/$defs/', f'"{EMBEDDED}'))
        partial.replace(kept)
    return json.loads(kept.read_text())["$defs"]


def _requirement(project: Project) -> str:
    """The package's line of the lock, with its hashes."""
    lock = (project.root / "requirements-dev.lock").read_text()
    found = re.search(rf"^{PACKAGE}==[^\\\n]*(?:\\\n[^\\\n]*)*", lock, re.MULTILINE)
    if not found:
        raise CliError(f"requirements-dev.lock has no {PACKAGE}, whose definitions the chart's schema needs")
    return found[0].replace("\\\n", " ")


def _read_package(project: Project, requirement: str) -> str:
    if found := importlib.util.find_spec(PACKAGE.replace("-", "_")):
        return _read_oldest(Path(str(found.origin)).parent)
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "requirements.txt"
        listed.write_text(requirement)
        install = [str(find_uv(project)), "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
        run([*install, "--target", folder, "--requirement", str(listed)])
        return _read_oldest(Path(folder) / PACKAGE.replace("-", "_"))


def _read_oldest(package: Path) -> str:
    versions = (package / "kubernetes-json-schema").glob("v*-local")
    oldest = min(versions, key=lambda v: [int(n) for n in re.findall(r"\d+", v.name)])
    return (oldest / "_definitions.json").read_text()
