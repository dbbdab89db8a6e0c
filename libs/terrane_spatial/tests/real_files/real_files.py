"""Tries every file of a folder that nobody here made, and tells how many load and why the others are refused.

`make real-files FILES=<folder>` walks the folder, makes of each file what a producer would send (files that
belong together in one zip archive, a geodatabase's folder in another), loads it into a Postgres of its own as a batch
would be, and prints a table by format and by reason. A layer is named where a file has several, and EPSG:4326 is told
of a file that says nothing, as a producer would after the first refusal; both are counted apart. What loads is compared
with its second reader, row by row as it lies in the table, and with what ogr2ogr makes of the same file, where there is
one. Figures, differences and reasons go to benchmarks/results/spatial-real.json.
"""

from __future__ import annotations

import argparse
import json
import re
import secrets
import shutil
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import real_files_compared as compared
import real_files_equal
from real_files_equal import Equality
from real_files_refused import cause

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
        self.outcomes[kind, outcome] += 1
        self.files.append({"path": path, "format": kind, "outcome": outcome, "reason": reason})
        self.slowest = sorted([*self.slowest, (seconds, path)], reverse=True)[:5]
        if reason:
            short = VARIABLE.sub("..", reason)[:150]
            self.reasons[kind, short] += 1
            self.examples.setdefault((kind, short), path)
        if outcome == CRASHED:
            self.crashes.append(f"{path}: {reason}")

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


def try_all(folder: Path, connect: Connect, limit: int | None = None) -> Report:
    """Loads every candidate; `connect` opens a connection of a run's schema, where the table is dropped again."""
    report = Report()
    for number, (kind, files, name) in enumerate(candidates(folder)):
        if limit is not None and number >= limit:
            break
        begun = time.monotonic()
        path = str(Path(name).relative_to(folder))

        equality: list[Equality] = []

        def compare(
            connection: psycopg.Connection,
            read: Path,
            file: ManifestFile,
            loaded: Loaded,
            path: str = path,
            equality: list[Equality] = equality,
        ) -> None:
            equality.append(real_files_equal.compare(connection, read, file, loaded))
            if compared.available():
                report.compare(path, compared.compare(connection, read, loaded))

        with tempfile.TemporaryDirectory() as place:
            outcome, reason, loaded = _try(Path(place), files, connect, compare)
        report.add(kind, path, outcome, reason, time.monotonic() - begun)
        if loaded is not None:
            report.files[-1] |= {"rows": loaded.rows, "facts": loaded.facts, **asdict(equality[-1])}
    return report


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
        folder = place / str(number)
        folder.mkdir()
        try:
            return outcome, "", attempt(folder, layer, crs)
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
        finally:
            shutil.rmtree(folder)
    return "refused", "it says neither its layer nor its system", None


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
        report = try_all(arguments.folder, connect, arguments.limit)
    if len(report.files) >= MIN_FILES:
        write(report)
    return tell(report, "what ogr2ogr makes")


def write(report: Report) -> None:
    """Writes what came of all files, each difference and each kind of refusal with its reason."""
    sys.path.insert(0, str(Path(__file__).parents[4]))
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
