"""What a Feast repository declares, as Feast reads it: from JSON that `dump` writes once for each digest of the files.

The asset graph, the check of columns, and a look into Redis need names and types alone, and importing Feast costs
seconds. An image carries the JSON beside the repository; where the folder cannot be written, it is kept with the
user's temporary files.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from terrane.names import SCHEMAS, VARIABLE, current
from terrane_features.feast_internals import feast_is_imported, parse_repository
from terrane_features.repository.dump import described
from terrane_features.repository.model import (
    Feature,
    FeatureService,
    FeatureView,
    Problem,
    Repository,
    RepositoryError,
)
from terrane_features.repository.settings import SETTINGS, read_settings, section

REPOSITORY_VARIABLE = "FEAST_REPO_PATH"
FOLDER, DUMPED = ".terrane", "definitions.json"
IGNORED = {"__pycache__"}
DUMP_TIMEOUT_S = 300
# An identifier, plain or in quotation marks.
_NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z_]\w*)'
_TABLE = re.compile(rf"^({_NAME})(?:\.({_NAME}))?$")
_READ_BY_QUERY = re.compile(rf"\b(?:from|join)\s+({_NAME})\.({_NAME})", re.IGNORECASE)


def locate(default: Path, variable: str = REPOSITORY_VARIABLE) -> Path:
    """The folder of the repository: the one that the variable names, where it is one and is set, else `default`."""
    return Path((variable and os.environ.get(variable)) or default).resolve()


def read_repository(folder: Path) -> Repository:
    """Reads the declarations of a repository. Raises RepositoryError when there is none, or Feast cannot be asked.

    Costs a reading of the files; and some seconds of a child process where their digest is a new one.
    """
    settings = read_settings(folder, complete=False)
    digest = digest_of(folder)
    content = _kept(folder, digest) or _dumped(folder, digest)
    schema = str(section(settings, "offline_store").get("db_schema") or "public")
    views = tuple(_view(view, schema) for view in content["views"] if view["online"])
    services = tuple(FeatureService(s["name"], s["description"], tuple(s["views"])) for s in content["services"])
    problems = tuple(Problem(found["place"], found["message"]) for found in content["problems"])
    return Repository(str(settings["project"]), digest, views, services, problems)


def digest_of(folder: Path) -> str:
    """Of the names and bytes of the files that say what is declared, and of Feast's version."""
    digest = hashlib.sha256(version("feast").encode())
    for file in sorted(_files(folder)):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(folder).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def prepare(folder: Path) -> Path:
    """Writes the JSON beside the repository, for an image to carry; returns where. Raises RepositoryError, OSError."""
    digest = digest_of(folder)
    target = folder / FOLDER / DUMPED
    _keep(target, {"digest": digest, **_ask_feast(folder)})
    return target


def main() -> int:
    """`python -m terrane_features.repository.read <folder>`: prepares the JSON; 1 when a definition is bad."""
    folder = Path(sys.argv[1]).resolve()
    print(prepare(folder))
    repository = read_repository(folder)
    bad = [f"{problem.place}: {problem.message}" for problem in repository.problems]
    bad += [f"{view.place}: {view.name}: {view.problem}" for view in repository.views if view.problem]
    print(*bad, sep="\n", file=sys.stderr)
    return 1 if bad else 0


def _files(folder: Path) -> Iterator[Path]:
    for place, names, files in os.walk(folder):
        names[:] = [name for name in names if not name.startswith(".") and name not in IGNORED]
        yield from (Path(place, name) for name in files if name.endswith(".py") or name in (SETTINGS, ".feastignore"))


def _kept(folder: Path, digest: str) -> dict[str, Any] | None:
    for place in (folder / FOLDER / DUMPED, _own_place(digest)):
        try:
            if place.parent.stat().st_uid not in (os.getuid(), folder.stat().st_uid):
                continue
            content = json.loads(place.read_text())
        except (OSError, ValueError):
            continue
        if content.get("digest") == digest:
            return content
    return None


def _dumped(folder: Path, digest: str) -> dict[str, Any]:
    content = {"digest": digest, **_ask_feast(folder)}
    for place in (folder / FOLDER / DUMPED, _own_place(digest)):
        try:
            _keep(place, content)
        except OSError:
            continue
        break
    return content


def _ask_feast(folder: Path) -> dict[str, Any]:
    """What `dump` says of the folder. Raises RepositoryError with its last words when it fails.

    A process that imported Feast already, with all its checks, need not start another.
    """
    if feast_is_imported():
        return described(parse_repository(folder))
    command = [sys.executable, "-W", "ignore", "-m", "terrane_features.repository.dump", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DUMP_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise RepositoryError(f"{folder}: its files did not end within {DUMP_TIMEOUT_S} s when imported") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise RepositoryError(f"{folder} cannot be read by Feast: {last}")
    return json.loads(done.stdout.splitlines()[-1])[str(folder)]


def _keep(place: Path, content: dict[str, Any]) -> None:
    """Whole or not at all: others may read it meanwhile."""
    own = place.parent.name != FOLDER
    place.parent.mkdir(mode=0o700 if own else 0o755, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=place.parent, delete=False) as file:
        json.dump(content, file)
    # Beside the repository it is for whoever may read that: an image's user is not who built it.
    os.chmod(file.name, 0o600 if own else 0o644)
    os.replace(file.name, place)


def _own_place(digest: str) -> Path:
    return Path(tempfile.gettempdir(), f"terrane-definitions-{os.getuid()}", f"{digest}.json")


def _view(found: dict[str, Any], schema: str) -> FeatureView:
    table, relation, upstream, problem = _relation(found, schema)
    return FeatureView(
        name=found["name"],
        description=found["description"],
        join_keys=tuple((name, kind) for name, kind in found["join_keys"]),
        features=tuple(Feature(name, dtype) for name, dtype in found["features"]),
        table=table,
        timestamp_column=found["timestamp_column"],
        created_column=found["created_column"],
        ttl=timedelta(seconds=found["ttl_s"]) or None,
        tags=found["tags"],
        relation=relation,
        schema=schema,
        upstream=upstream,
        place=found["place"],
        problem=found["problem"] or problem,
        field_mapping=found["field_mapping"],
    )


def _relation(found: dict[str, Any], schema: str) -> tuple[str, str, tuple[tuple[str, ...], ...], str]:
    """A source's name for people, its SQL after `from`, the tables that it reads, and what is wrong with it."""
    if query := found["query"]:
        relation = f"({query.strip().rstrip(';')}\n)"
        return "its query", relation, *_upstream(tables_of(query), schema)
    parts = _TABLE.match(found["table"].strip())
    if not parts:
        message = (
            f"its table {found['table']!r} is no name of a table: write schema.table, in quotation marks if need be"
        )
        return found["table"], found["table"], (), message if found["table"] else ""
    first, second = parts[1], parts[2]
    sql = f"{first}.{second}" if second else f'"{schema}".{first}'
    names = (_plain(first), _plain(second)) if second else (schema, _plain(first))
    upstream, problem = _upstream([names], schema)
    return ".".join(names), sql, upstream, problem


def tables_of(query: str) -> list[tuple[str, str]]:
    """The tables that a query names with their schemas, each once."""
    return list(dict.fromkeys((_plain(s), _plain(t)) for s, t in _READ_BY_QUERY.findall(query)))


def elsewhere(schema: str) -> bool:
    """Whether the schema is one of the platform's in another environment. What a query names may be no schema at all,
    as in `extract(day from t.day)`."""
    return current().base_of(schema) is None and schema.split("__")[0] in SCHEMAS


def _upstream(tables: Iterable[tuple[str, str]], schema: str) -> tuple[tuple[tuple[str, ...], ...], str]:
    """The keys of tables' assets, and what is wrong when one is another environment's, whose rows nobody here wants."""
    environment, tables = current(), list(tables)
    problem = next(
        (
            f"it reads the schema {name}, which {VARIABLE}={environment.environment} has not: leave the schema out,"
            f" for names without one are found in {schema}"
            for name, _ in tables
            if elsewhere(name)
        ),
        "",
    )
    return tuple((environment.base_of(name) or name, table) for name, table in tables), problem


def _plain(name: str) -> str:
    """A name as Postgres keeps it: in small letters unless it stands in quotation marks."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


if __name__ == "__main__":
    sys.exit(main())
