"""Why connectors are written by hand: the same source by ours and by dlt, what it costs and what becomes of bad rows.

Both have the same declared columns where it is about rows; dlt's contracts are set to refuse what does not fit.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.flow import source
from benchmarks.flow.stores import DROP, ENTRIES, client, execute
from benchmarks.flow.stores import source as serving
from benchmarks.report import ROOT, machine, median_ratio, rounds, table, write_section
from benchmarks.spatial.server import settle
from terrane.postgres import PostgresResource

DAY = "2026-01-01"
FORMS = ("insert_values", "csv")
TITLE = "Sources: ours beside dlt"
OURS = "raw.journal_entries"
THEIRS = "by_dlt.journal_entries"
DLT_TYPES = {
    "bigint": "bigint",
    "smallint": "bigint",
    "integer": "bigint",
    "double": "double",
    "timestamptz": "timestamp",
    "text": "text",
}
GOOD = source.entries(source.datetime.fromisoformat(f"{DAY}T00:00:00+00:00"), 2)
MOST_TOLD = 160
# What dlt says below every error.
SAID_ALWAYS = ("Note:", "WARNING:", "DETAIL", "HINT")


@dataclass(frozen=True)
class Case:
    """A page of two rows, of which the second is bad: the column, and what stands there as JSON."""

    name: str
    column: str
    value: str


# The last three are a source whose form has changed.
CASES = (
    Case("NUL in a text", "place", '"Be\\u0000rn"'),
    Case("half of an emoji in a text", "place", '"Rome \\ud83d"'),
    Case("a list for a text", "place", '["Rome"]'),
    Case("a number for a text", "place", "5"),
    Case("NaN for a number", "minutes", "NaN"),
    Case("a text for a number", "mood", '"fine"'),
    Case("true for a number", "mood", "true"),
    Case("a number beyond the column's", "mood", "40000"),
    Case("null where there must be a value", "user_id", "null"),
    Case("a time without a zone", "created_at", f'"{DAY}T10:00:00"'),
    Case("the day's last 100 nanoseconds", "created_at", f'"{DAY}T23:59:59.9999999Z"'),
    Case("a further field", "colour", '"red"'),
    Case("a field less", "game_type", ""),
    Case("half a number where whole ones were", "words", "1.5"),
)


def beside_dlt(warehouse: PostgresResource, url: str, rows: int, repeats: int) -> dict[str, float]:
    """Measures both, writes the table of docs/benchmarks.md, and returns the figures.

    dlt appends, which is the cheapest that it does; by its default, and by its COPY of CSV files.
    """
    with client(url) as warming:
        warming.get("/v1/journal-entries", {"from": DAY})
    contenders: dict[str, Callable[[], dict[str, Any]]] = {"ours": partial(_measured, warehouse, url, rows, None)}
    contenders |= {form: partial(_measured, warehouse, url, rows, form) for form in FORMS}
    found = _rounds(warehouse, repeats, contenders)
    measured = {
        name: {
            key: statistics.median(each[key] for each in answers) for key in ("seconds", "cpu", "memory_mb", "startup")
        }
        for name, answers in found.items()
    }
    write_section(TITLE, _section(measured, rows, repeats, [_outcomes(warehouse, case) for case in CASES]))
    seconds = {name: [each["seconds"] for each in answers] for name, answers in found.items()}
    return {
        "ingest_vs_dlt": round(median_ratio(seconds["insert_values"], seconds["ours"]), 2),
        "ingest_vs_dlt_csv": round(median_ratio(seconds["csv"], seconds["ours"]), 2),
    }


def _rounds(
    warehouse: PostgresResource, repeats: int, contenders: Mapping[str, Callable[[], dict[str, Any]]]
) -> dict[str, list[dict[str, Any]]]:
    """What each contender says, from a database without its tables every time."""

    def fresh(contender: Callable[[], dict[str, Any]]) -> Any:
        execute(warehouse, *DROP)
        settle(warehouse)
        return contender()

    found: Any = rounds(repeats, {name: partial(fresh, contender) for name, contender in contenders.items()})
    return found


def _measured(warehouse: PostgresResource, url: str, rows: int, form: str | None) -> dict[str, Any]:
    said = run(warehouse, url, form)
    with warehouse.connect() as connection:
        # dlt's own count is of values in this version, and not of rows.
        query = f"select count(*) from {THEIRS if form else OURS}"  # noqa: S608 - constants
        counted = connection.execute(query.encode()).fetchone()
    if said["error"] or counted != (rows,):
        raise RuntimeError(f"{form or 'ours'} loaded {counted} of {rows} rows: {said['error']}")
    return said


def run(warehouse: PostgresResource, url: str, form: str | None, columns: str = "") -> dict[str, Any]:
    """One day by ours, or by dlt where there is a form of its files, in a process of its own."""
    if form:
        command = [dlt_python(), str(Path(__file__).parent / "dlt_contender.py"), url, DAY, form]
        command, given, folder = [*command, *([columns] if columns else [])], warehouse.uri(), "/"
    else:
        command, folder = [sys.executable, "-m", "benchmarks.flow.our_contender", url, DAY], str(ROOT)
        given = json.dumps(
            {name: getattr(warehouse, name) for name in ("host", "port", "user", "password", "database")}
        )
    environment = os.environ | {"STARTED_AT": repr(time.time()), "RUNTIME__LOG_LEVEL": "CRITICAL"}
    done = subprocess.run(command, input=given, capture_output=True, text=True, cwd=folder, env=environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} ended with {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def dlt_python() -> str:
    """The interpreter that has dlt, which the workspace's own finds or makes."""
    command = [str(ROOT / ".venv/bin/python"), "-m", "benchmarks.flow.dlt_environment"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def _outcomes(warehouse: PostgresResource, case: Case) -> tuple[str, str, str]:
    """What becomes of the case's bad row: by ours, and by dlt."""
    hints = {
        c.name: {"data_type": DLT_TYPES[c.type.split()[0]], "nullable": "not null" not in c.type}
        for c in ENTRIES.columns
    }
    with serving(2, _page(case)) as url:
        found = []
        for form in (None, FORMS[0]):
            execute(warehouse, *DROP)
            said = run(warehouse, url, form, json.dumps(hints) if form else "")
            found.append(_outcome(warehouse, case, said["error"], form))
    return case.name, *found


def _page(case: Case) -> str:
    bad = {name: json.dumps(value) for name, value in GOOD[1].items()} | {case.column: case.value}
    row = ", ".join(f'"{name}": {value}' for name, value in bad.items() if value)
    return f'{{"items": [{json.dumps(GOOD[0])}, {{{row}}}], "next_cursor": null, "window_total": 2}}'


def _outcome(warehouse: PostgresResource, case: Case, error: str, form: str | None) -> str:
    name = THEIRS if form else OURS
    with warehouse.connect(autocommit=True) as connection:
        there = connection.execute("select to_regclass(%s)", [name]).fetchone()
        if there == (None,):
            return _of_error(error)
        rows = connection.execute(f"select to_jsonb(t) from {name} t order by id".encode()).fetchall()  # noqa: S608 - constants
        rejected = [] if form else connection.execute("select column_name, reason from raw.rejected").fetchall()
    if rejected:
        return f"row refused, the other taken: {' '.join(rejected[0])}"
    if len(rows) < 2:
        return _of_error(error) if error else f"{2 - len(rows)} of 2 rows gone, and nothing is said"
    kept = {key: value for key, value in rows[1][0].items() if key.startswith(case.column)}
    return f"taken, as `{json.dumps(kept, ensure_ascii=True)}`"


def _of_error(error: str) -> str:
    """The error's last line that says something, as a cell of a table."""
    lines = [line.strip() for line in error.splitlines() if line.strip() and not line.strip().startswith(SAID_ALWAYS)]
    told = (lines or ["nothing is said"])[-1]
    told = told if len(told) <= MOST_TOLD else f"{told[:MOST_TOLD]} ..."
    return f"day refused: {told}".replace("|", "/")


def _section(
    measured: Mapping[str, Mapping[str, float]], rows: int, repeats: int, cases: list[tuple[str, str, str]]
) -> str:
    names = {"ours": "ours", "insert_values": "dlt, its default", "csv": "dlt, COPY of CSV"}
    costs = [
        (
            names[name],
            f"{rows / each['seconds']:,.0f}",
            f"{each['cpu']:.2f}",
            f"{each['memory_mb']:.0f}",
            f"{each['startup']:.2f}",
        )
        for name, each in measured.items()
    ]
    version = json.loads(
        subprocess.run(
            [dlt_python(), "-c", "import json, dlt; print(json.dumps(dlt.__version__))"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    return "\n\n".join(
        [
            f"`make bench-flow PARTS=dlt`, {repeats} rounds of {rows:,} rows over HTTP into one table, dlt {version}. "
            f"{machine()}.",
            table(("", "rows/s", "processor s", "memory MB", "start-up s"), costs),
            "A day of two rows, the second of which is bad; both with the declared columns, dlt with its contracts on "
            "`freeze`.",
            table(("case", "ours", "dlt"), cases),
        ]
    )
