"""Where figures go: a section of docs/benchmarks.md that names the machine, and a JSON file a benchmark."""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/benchmarks.md"
RESULTS = ROOT / "benchmarks/results"
TITLE = """# Benchmarks

Each table is one run of one command, stock tool and ours side by side, round after round; figures are medians.
"""


def rounds(number: int, contenders: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Lets every contender have its turn in every round; returns what each of them answered, in order of rounds."""
    answers: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(number):
        for name, contender in contenders.items():
            answers[name].append(contender())
    return answers


def median_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """The median of the rounds' own ratios: a round in which the machine was busy hits both sides of its ratio."""
    return statistics.median(n / d for n, d in zip(numerators, denominators, strict=True))


def machine() -> str:
    """One line: processors, memory, system, Python, date."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    day = datetime.now(UTC).date().isoformat()
    cpu = _processor()
    return f"{os.cpu_count()} x {cpu}, {memory_gib:.0f} GiB, {system}, Python {platform.python_version()}, {day}"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def write_section(title: str, body: str) -> None:
    """Puts the section into docs/benchmarks.md, in place of the one of the same title."""
    page = PAGE.read_text() if PAGE.exists() else TITLE
    section = f"## {title}\n\n{body.strip()}\n"
    older = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
    older_there = older.search(page)
    page = older.sub(lambda _: f"{section}\n", page) if older_there else f"{page.rstrip()}\n\n{section}"
    PAGE.write_text(f"{page.rstrip()}\n")


def merge_figures(name: str, figures: dict[str, float], how: dict[str, object]) -> None:
    """Puts figures into benchmarks/results/<name>.json beside those there are, and below `how` by what they came about.

    Args:
        how: the command, repeats, and what else a reader has to know; commit and date are added.
    """
    file = RESULTS / f"{name}.json"
    there = json.loads(file.read_text()) if file.exists() else {}
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    origin = {**how, "commit": commit.stdout.strip(), "date": datetime.now(UTC).date().isoformat()}
    notes = there.get("how", {}) | dict.fromkeys(figures, origin)
    RESULTS.mkdir(exist_ok=True)
    file.write_text(f"{json.dumps(there | figures | {'how': notes}, indent=2, sort_keys=True)}\n")


def _processor() -> str:
    try:
        names = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        names = []
    return names[0] if names else platform.machine()
