"""Plays histories and judges them, and goes on where it was stopped: `make simulate`.

python -m terrane_dev.simulation [--histories 300] [--state FILE]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from terrane import policies
from terrane_dev import automation
from terrane_dev.simulation.histories import play
from terrane_dev.simulation.oracle import beyond, judge


def judged(seed: int) -> dict[str, Any]:
    """What is wrong with the history of that seed, and how many builds read nothing new."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    made = play(seed)
    again, new = beyond(made)
    return {"seed": seed, **judge(made), "again": again, "new": new}


def judge_all(seeds: Iterable[int]) -> Iterator[dict[str, Any]]:
    """Of each seed, as many at once as there are processors."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(judged, seeds)


def digest() -> str:
    """Of the code that a result is of."""
    files = [Path(policies.__file__), Path(automation.__file__), *sorted(Path(__file__).parent.glob("*.py"))]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:16]


def judged_histories(number: int, kept: Path) -> list[dict[str, Any]]:
    """What `judged` says of so many histories; those that the file has of the code as it is are not played again."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    code = digest()
    lines = kept.read_text().splitlines() if kept.exists() else []
    done = {line["seed"]: line for line in map(json.loads, lines) if line["code"] == code}
    missing = [seed for seed in range(1, number + 1) if seed not in done]
    with kept.open("a") as state:
        for found in judge_all(missing):
            done[found["seed"]] = found
            state.write(json.dumps({"code": code, **found}) + "\n")
            state.flush()
    return [done[seed] for seed in range(1, number + 1)]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--histories", type=int, default=300)
    parser.add_argument("--state", type=Path, default=Path(".terrane/simulation.jsonl"))
    wanted = parser.parse_args()
    results = judged_histories(wanted.histories, wanted.state)
    bad = [found for found in results if found["lost"] or found["unproved"]]
    again, new = (sum(found[name] for found in results) for name in ("again", "new"))
    for found in bad:
        print(json.dumps(found))
    print(f"{len(results)} histories, {len(bad)} wrong; {new} builds, and {again} that read nothing new")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
