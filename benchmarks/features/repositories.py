"""`make feast-repositories`: 500 repositories made at random, each as stock Feast and as ours have it.

A repository that was compared as all that decides the outcome is committed is not compared again: results are kept
below .terrane/. With --folder, the repositories below it are compared instead, by `benchmarks.features.published`.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.features.published import compare_published
from benchmarks.features.stores import stores
from benchmarks.report import ROOT, merge_figures

sys.path.insert(0, str(ROOT / "libs/terrane_features/tests/support"))
SERVED_EVERY = 10
COMMAND = "make feast-repositories"
# What decides how a comparison ends.
COMPARED = (
    "libs/terrane",
    "libs/terrane_features",
    "benchmarks/features/repositories.py",
    "code_locations/features/requirements.lock",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog=COMMAND)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.folder:
        compare_published(asked.folder, f"{COMMAND} FOLDER=...")
        return
    count = asked.count
    place = _place()
    found = _compared(place, count)
    outcomes = Counter(result["outcome"] for result in found.values())
    for result in found.values():
        if result["outcome"] != "equal":
            print(f"{result['seed']}: {result['outcome']}: {result['why']}")
    served = sum(result["served"] for result in found.values() if result["outcome"] == "equal")
    print(f"{dict(outcomes)}, {served} of them served the same")
    merge_figures(
        "features",
        {
            "repositories_compared": len(found),
            "repositories_different": outcomes["different"],
            "repositories_refused_share": round(outcomes["refused"] / len(found), 3),
            "repositories_served": served,
        },
        {"command": COMMAND, "repeats": 1},
    )


def _compared(place: Path, count: int) -> dict[int, dict[str, Any]]:
    """Every result, by seed: those that are kept, and the others after their comparison."""
    from compared import Sides

    kept = [json.loads(line) for line in place.read_text().splitlines()] if place.exists() else []
    found = {result["seed"]: result for result in kept}
    missing = [seed for seed in range(count) if seed not in found]
    if not missing:
        return found
    with stores() as both, place.open("a") as journal:
        sides = Sides(both.warehouse, both.online)
        for seed in missing:
            found[seed] = result = _compare(sides, seed)
            journal.write(f"{json.dumps(result)}\n")
            journal.flush()
            if sys.stderr.isatty() or seed % 50 == 49:
                print(f"{len(found)} of {count}", file=sys.stderr)
    return found


def _compare(sides: Any, seed: int) -> dict[str, Any]:
    from compared import compare_definitions, compare_served
    from repositories import generate

    from terrane_features.repository.model import RepositoryError
    from terrane_features.repository.table_schema import ColumnsDoNotFit

    result = {"seed": seed, "outcome": "equal", "why": "", "served": False}
    generated = generate(seed)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="terrane-repository-") as folder,
            contextlib.redirect_stdout(io.StringIO()),
            sides.repository(generated, Path(folder)) as (stock, ours),
        ):
            compare_definitions(stock, ours)
            if seed % SERVED_EVERY == 0:
                result["served"] = compare_served(generated, stock, ours)
    except (RepositoryError, ColumnsDoNotFit) as error:
        result |= {"outcome": "refused", "why": str(error)}
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        result |= {"outcome": "different", "why": f"{last.name}: {type(error).__name__}: {error}"[:2000]}
    return result


def _place() -> Path:
    trees = [f"HEAD:{path}" for path in COMPARED]
    named = subprocess.run(["git", "rev-parse", *trees], cwd=ROOT, capture_output=True, text=True, check=True)
    folder = ROOT / ".terrane/feast-repositories"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{hashlib.sha256(named.stdout.encode()).hexdigest()[:16]}.jsonl"


if __name__ == "__main__":
    main()
