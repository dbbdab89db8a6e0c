"""Tries every file of a folder that nobody here made, and tells how many load and why the others are refused.

`make real-files FILES=<folder>` walks the folder, makes of each file what a producer would send (files that
belong together in one zip archive, a geodatabase's folder in another), loads it into a Postgres of its own as a batch
would be, and prints a table by format and by reason. A layer is named where a file has several, and EPSG:4326 is told
of a file that says nothing, as a producer would after the first refusal; both are counted apart. What loads is compared
with its second reader, row by row as it lies in the table, and with what ogr2ogr makes of the same file, where there is
one. Figures, differences and reasons go to benchmarks/results/spatial-real.json. A run that is stopped goes on where it
was, as long as the commit is the same; what Postgres or the machine fails at for a time is tried again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import real_files_compared as compared
import real_files_equal
from real_files_equal import Equality
from real_files_refused import cause

from terrane.errors import is_temporary
from terrane.postgres import PostgresResource
from terrane_dev.servers import postgres
from terrane_dev.servers.process import free_port
from terrane_dev.testing import NO_POSTGRES, PostgresServer, temporary_server_folder
from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.files.fetch import unpack
from terrane_spatial.files.formats import BY_NAME, FORMATS, VECTOR, VECTORS, Format
from terrane_spatial.files.sniffing import HEAD_BYTES, is_zip, sniff
from terrane_spatial.intake.manifest import ManifestFile
from terrane_spatial.loading.table_loader import load_file
from terrane_spatial.runs import run_schema

if TYPE_CHECKING:
    import psycopg

    from terrane_spatial.loading.table_loader import Loaded

Result = TypeVar("Result")
Compare = Callable[["psycopg.Connection", Path, ManifestFile, "Loaded"], None]
Connect = Callable[[], "AbstractContextManager[psycopg.Connection]"]

NAME = "realfiles"
LOADED, NEEDS_LAYER, NEEDS_CRS, CRASHED = "loads", "needs a layer", "needs a crs", "CRASHED"
SEVERAL = re.compile(r"it has several (?:layers|variables|pages), (.+?)(?:, |;|$)")
NO_CRS = "coordinate reference system; give"
NO_NUMBER = "which has no EPSG number; give"
PARTS = {part for each in FORMATS for part in each.parts}
ATTEMPTS = 3
# Of what is temporary, as a connection that a busy machine is too slow to make.
TRIES, WAIT_S = 4, 5.0
ROOT = Path(__file__).parents[4]
BY_HAND = "read by hand, for"
# Of a smaller folder, as one that a test makes, figures say nothing of the corpora.
MIN_FILES = 1000
# What differs from file to file in a reason that is the same: quoted text, numbers, names.
VARIABLE = re.compile(r"'[^']*'|\"[^\"]*\"|\b0x[0-9a-f]+\b|\b\d[\d.,e+-]*\b")


@dataclass
class Report:
    """Files by format and outcome, reasons of refusals with an example each, and seconds of the slowest."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], str] = field(default_factory=dict)
    slowest: list[tuple[float, str]] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    compared: Counter[str] = field(default_factory=Counter)
    differences: list[tuple[str, str]] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)

    def add(self, kind: str, path: str, outcome: str, reason: str = "", seconds: float = 0.0) -> None:
        self.take({"path": path, "format": kind, "outcome": outcome, "reason": reason}, seconds)

    def take(self, file: dict[str, Any], seconds: float, compared_as: str | None = None) -> None:
        """Adds what came of a file, and of comparing it with the other tool where it was."""
        kind, path, outcome, reason = (str(file[name]) for name in ("format", "path", "outcome", "reason"))
        self.outcomes[kind, outcome] += 1
        self.files.append(file)
        self.slowest = sorted([*self.slowest, (seconds, path)], reverse=True)[:5]
        if reason:
            short = VARIABLE.sub("..", reason)[:150]
            self.reasons[kind, short] += 1
            self.examples.setdefault((kind, short), path)
        if outcome == CRASHED:
            self.crashes.append(f"{path}: {reason}")
        if compared_as is not None:
            self.compare(path, compared_as)

    def compare(self, path: str, result: str) -> None:
        self.compared[result if result in (compared.SAME, compared.NOT_COMPARED) else "different"] += 1
        if result not in (compared.SAME, compared.NOT_COMPARED):
            self.differences.append((path, result))


def candidates(folder: Path) -> Iterator[tuple[str, list[Path], str]]:
    """What a producer could send, by content: the format's title, the files that belong together, a name."""
    databases = sorted(p for p in folder.rglob("*.gdb") if p.is_dir())
    for database in databases:
        yield "File geodatabase", sorted(p for p in database.iterdir() if p.is_file()), str(database)
    for path, head, kind in sniffed(folder):
        if any(database in path.parents for database in databases):
            continue
        if is_zip(head) and path.suffix.lower() in (".zip", ".kmz"):
            yield "zip archive", [path], str(path)
        elif kind and kind.kind == VECTOR:
            yield kind.title, with_parts(path, kind), str(path)


def sniffed(folder: Path) -> Iterator[tuple[Path, bytes, Format | None]]:
    """Every file that is not a part of another, with its first bytes and the format that they are of."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
        if path.suffix.lower() in PARTS:
            continue
        with path.open("rb") as opened:
            head = opened.read(HEAD_BYTES)
        yield path, head, sniff(head)


def with_parts(path: Path, kind: Format) -> list[Path]:
    """The file, and those beside it that belong to it."""
    return [path, *(p for p in sorted(path.parent.glob(f"{path.stem}.*")) if p.suffix.lower() in kind.parts)]


def try_all(folder: Path, connect: Connect, limit: int | None = None, kept: Path | None = None) -> Report:
    """Loads every candidate; `connect` opens a connection of a run's schema, where the table is dropped again.

    Args:
        limit: how many are tried at most.
        kept: where to note what came of each, a line a file; those that are noted there are not tried again.
    """
    report = Report()
    done = _done(kept)
    for number, (kind, files, name) in enumerate(candidates(folder)):
        if limit is not None and number >= limit:
            break
        begun = time.monotonic()
        path = str(Path(name).relative_to(folder))
        if path in done:
            report.take(*done[path])
            continue

        equality: list[Equality] = []
        others: list[str] = []

        def compare(
            connection: psycopg.Connection,
            read: Path,
            file: ManifestFile,
            loaded: Loaded,
            equality: list[Equality] = equality,
            others: list[str] = others,
        ) -> None:
            equality.append(real_files_equal.compare(connection, read, file, loaded))
            if compared.available():
                others.append(compared.compare(connection, read, loaded))

        with tempfile.TemporaryDirectory() as place:
            outcome, reason, loaded = _try(Path(place), files, connect, compare)
        record = {"path": path, "format": kind, "outcome": outcome, "reason": reason}
        if loaded is not None:
            record |= {"rows": loaded.rows, "facts": loaded.facts, **asdict(equality[-1])}
        told = (record, time.monotonic() - begun, others[-1] if others else None)
        report.take(*told)
        if kept is not None:
            with kept.open("a") as opened:
                opened.write(f"{json.dumps(told)}\n")
    return report


def _done(kept: Path | None) -> dict[str, Any]:
    if kept is None or not kept.exists():
        return {}
    # The last line may have been cut when the run was stopped.
    lines = [line for line in kept.read_text().splitlines(keepends=True) if line.endswith("\n")]
    kept.write_text("".join(lines))
    return {told[0]["path"]: told for told in map(json.loads, lines)}


def _try(place: Path, files: list[Path], connect: Connect, compare: Compare) -> tuple[str, str, Loaded | None]:
    formats = [BY_NAME[name] for name in VECTORS]

    def load(folder: Path, layer: str | None, crs: str | None) -> Loaded:
        path = unpack(sent(folder, files), "t", "file", formats)
        file = ManifestFile(key="file", size=1, sha256="0" * 64, layer=layer, crs=crs)
        with connect() as connection:
            connection.execute('drop table if exists "file"')
            connection.execute("delete from _loads")
            loaded = load_file(connection, path, file)
            compare(connection, path, file, loaded)
            return loaded

    return as_asked(place, load, "EPSG:3857")


def as_asked(place: Path, attempt: Callable[..., Result], system: str) -> tuple[str, str, Result | None]:
    """Sends again what a refusal asks for, as a producer would: the layer, the reference system.

    Args:
        attempt: takes an empty folder, the layer and the system.

    Returns:
        The outcome, the reason where it is a refusal, and what the attempt returned where it is none.
    """
    outcome, layer, crs = LOADED, None, None
    for number in range(ATTEMPTS):
        try:
            return outcome, "", _patiently(place / str(number), partial(attempt, layer=layer, crs=crs))
        except BatchRejectedError as error:
            reason = str(error).removeprefix("file: ").removeprefix("file ")
            if (several := SEVERAL.search(reason)) and layer is None:
                outcome, layer = NEEDS_LAYER, several[1]
            elif (NO_CRS in reason or NO_NUMBER in reason) and crs is None:
                outcome, crs = NEEDS_CRS, system
            else:
                return "refused", reason, None
        except Exception as error:
            return CRASHED, f"{type(error).__name__}: {error}", None
    return "refused", "it says neither its layer nor its system", None


def _patiently(folder: Path, attempt: Callable[[Path], Result]) -> Result:
    """What the attempt returns, in an empty folder; tried again while what fails is temporary."""
    for tries_left in reversed(range(TRIES)):
        folder.mkdir()
        try:
            return attempt(folder)
        except Exception as error:
            if not tries_left or isinstance(error, BatchRejectedError) or not is_temporary(error):
                raise
            time.sleep(WAIT_S)
        finally:
            shutil.rmtree(folder)
    raise AssertionError("the last try returns or raises")


def sent(folder: Path, files: list[Path]) -> Path:
    """The object as a producer sends it: the file, or one archive of the files that belong together."""
    target = folder / "object"
    if len(files) == 1 and files[0].parent.suffix.lower() != ".gdb":
        shutil.copyfile(files[0], target)
        return target
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.write(path, f"{path.parent.name}/{path.name}")
    return target


def tell(report: Report, other: str) -> int:
    """Prints the report, which compares with the other; returns the exit code."""
    print(as_markdown(report, other))
    print(json.dumps({"slowest": report.slowest, "crashes": report.crashes}, indent=2), file=sys.stderr)
    return 1 if report.crashes else 0


def as_markdown(report: Report, other: str) -> str:
    kinds = sorted({kind for kind, _ in report.outcomes})
    columns = (LOADED, NEEDS_LAYER, NEEDS_CRS, "refused", CRASHED)
    lines = ["| format | files | " + " | ".join(columns) + " |", "|---|" + "---:|" * (len(columns) + 1)]
    for kind in [*kinds, "all"]:
        counts = [sum(n for (k, o), n in report.outcomes.items() if kind in (k, "all") and o == c) for c in columns]
        lines.append(f"| {kind} | {sum(counts)} | " + " | ".join(map(str, counts)) + " |")
    lines += ["", "| files | format | reason | for example |", "|---:|---|---|---|"]
    for (kind, reason), number in sorted(report.reasons.items(), key=lambda item: (-item[1], item[0])):
        told = reason.replace("|", "/").replace("\n", " ")
        lines.append(f"| {number} | {kind} | {told} | {Path(report.examples[kind, reason]).name} |")
    lines += ["", f"| files | compared with {other} |", "|---:|---|"]
    lines += [f"| {number} | {result} |" for result, number in sorted(report.compared.items())]
    lines += ["", "| different | in |", "|---|---|", *(f"| {path} | {told} |" for path, told in report.differences)]
    return "\n".join(lines)


@contextmanager
def own_postgres() -> Iterator[Connect]:
    """Opens connections in a run's schema of a server of our own, which goes at the end."""
    installation = postgres.find_installation()
    if installation is None or not installation.has_postgis:
        raise SystemExit(NO_POSTGRES)
    with temporary_server_folder("real-files") as folder:
        password = secrets.token_hex(12)
        data = postgres.make_cluster(installation, folder / "data", password)
        server = PostgresServer(installation, data, folder / "postgres.log", free_port(), password)
        server.start()
        try:
            postgres.ensure_role(server.port, password, NAME, password)
            postgres.ensure_database(server.port, password, NAME, NAME, ("postgis",))
            resource = PostgresResource(
                host="127.0.0.1", port=str(server.port), user=NAME, password=password, database=NAME
            )
            with run_schema.connect(resource, NAME) as connection:
                run_schema.create(connection, NAME, NAME)
            yield lambda: run_schema.connect(resource, NAME)
        finally:
            server.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description="Try real files: how many load, and why the others are refused.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, help="try the first so many files only")
    arguments = parser.parse_args()
    with own_postgres() as connect:
        kept = _kept(arguments.folder)
        report = try_all(arguments.folder, connect, arguments.limit, kept)
    if len(report.files) >= MIN_FILES:
        write(report)
    kept.unlink(missing_ok=True)
    return tell(report, "what ogr2ogr makes")


def _kept(folder: Path) -> Path:
    """Where a run over the folder at this commit notes how far it is."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    digest = hashlib.sha256(f"{folder.resolve()} {commit}".encode()).hexdigest()[:16]
    kept = ROOT / ".terrane" / "real-files" / f"{digest}.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    return kept


def write(report: Report) -> None:
    """Writes what came of all files, each difference and each kind of refusal with its reason."""
    sys.path.insert(0, str(ROOT))
    from benchmarks.report import RESULTS, merge_figures

    loaded = [file for file in report.files if "facts" in file]
    refused = [file for file in report.files if file["outcome"] in ("refused", CRASHED)]
    outcomes = Counter(file["equality"] for file in loaded)
    figures = {
        "files": len(report.files),
        "loaded": len(loaded),
        "equal_share": round(outcomes[real_files_equal.EQUAL] / max(1, len(loaded)), 4),
        "different_untold": outcomes[real_files_equal.UNTOLD],
        "refused_without_reason": sum(cause(file["reason"]) is None for file in refused),
    }
    told = {
        "by outcome": dict(Counter(file["outcome"] for file in report.files)),
        "by equality": dict(outcomes),
        "read by hand": sum(BY_HAND in file["facts"] for file in loaded),
        "differences": {file["path"]: file["differences"] for file in loaded if file["differences"]},
        "alone": {file["path"]: file["why"] for file in loaded if file["why"]},
        "refused, by reason": dict(Counter(cause(file["reason"]) or f"none: {file['reason']}" for file in refused)),
    }
    how = {"command": "make real-files FILES=<folder of docs/spatial.md's corpora>", "repeats": 1}
    merge_figures("spatial-real", figures, how)
    file = RESULTS / "spatial-real.json"
    file.write_text(f"{json.dumps({**json.loads(file.read_text()), 'told': told}, indent=2, sort_keys=True)}\n")


if __name__ == "__main__":
    sys.exit(main())
