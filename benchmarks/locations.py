"""What a location costs: `make bench-locations` makes one of each kind on a platform that runs, and removes it again.

In a copy of the checkout, with the state of its platform in a folder elsewhere. Figures go to
benchmarks/results/locations.json: files elsewhere that differ after adding one and that no generator wrote, what
is left after removing it, and the seconds from the command to its asset in the UI. Then the story runs in two
environments on the same stores, and what of one the other changed is counted. 12 CPU minutes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.checkout import changes, copy_checkout, terrane, written

from benchmarks.environments.touching import environments_touching
from benchmarks.report import machine, merge_figures, table, write_section
from terrane_cli.dagster_api import DagsterApi
from terrane_cli.laptop.settings import Settings
from terrane_cli.laptop.supervisor import Supervisor
from terrane_cli.locations.making import KEYS
from terrane_cli.locations.words import Kind
from terrane_cli.project import Project
from terrane_dev.testing import temporary_server_folder

NAME = "atlas"
COMMAND = "make bench-locations"
PATIENCE_S = 180
# Of libs/terrane_cli/terrane_cli at f8a76a3, flat modules that knew no location.yaml, counted as `cli_lines` counts;
# at 50c5f29, with what release, location and cluster had come to want of them, it was 4,581.
CLI_LINES_BEFORE = 2553
ASSET = "query ($keys: [AssetKeyInput!]) { assetNodes(assetKeys: $keys) { id } }"


@dataclass
class Found:
    """What was seen of the kinds that were tried, each of them once a round."""

    edited: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)
    seconds: dict[str, list[float]] = field(default_factory=dict)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1, help="how often each kind is made and removed")
    parser.add_argument("--kinds", nargs="+", choices=list(Kind), default=list(Kind))
    options = parser.parse_args()
    found, load = Found(), _load()
    with running_copy() as copy:
        for _ in range(options.rounds):
            for kind in options.kinds:
                try_kind(copy, kind, found)
                print(f"{kind}: in the UI after {found.seconds[kind][-1]:.1f} s", flush=True)
    seconds = {kind: round(statistics.median(each), 1) for kind, each in found.seconds.items()}
    figures: dict[str, float] = {
        "location_files_edited": len(found.edited),
        "left_behind": len(found.left),
        "kinds_tried": len(found.kinds),
        "environments_touching": environments_touching(),
        "cli_lines_before": CLI_LINES_BEFORE,
        "cli_lines_after": cli_lines(),
        "new_location_s": seconds.get(Kind.PLAIN, 0),
    }
    how: dict[str, object] = {"command": COMMAND, "repeats": options.rounds, "load_before": load}
    merge_figures("locations", figures | {f"new_location_{kind}_s": value for kind, value in seconds.items()}, how)
    write_section("Locations", _section(figures, seconds))
    for name, value in figures.items():
        print(f"{name}: {value}")
    print("\n".join(sorted(found.edited | found.left)))
    return 1 if found.edited or found.left or figures["environments_touching"] else 0


def _section(figures: dict[str, float], seconds: dict[str, float]) -> str:
    """What docs/benchmarks.md says of it."""
    rows = [(f"`make location KIND={kind}`, until its asset is in the UI, s", value) for kind, value in seconds.items()]
    rows += [
        ("files elsewhere that a person has to edit for it", figures["location_files_edited"]),
        ("files, ports, records and processes left by `make location-remove`", figures["left_behind"]),
        (
            "tables, objects and keys that one of two environments changed of the other",
            figures["environments_touching"],
        ),
    ]
    return f"{machine()}.\n\n{table(('what', 'seen'), rows)}\n\n`{COMMAND}`, with every package in uv's cache."


def cli_lines() -> int:
    """Lines of the command's Python, tests left out."""
    folder = Path(__file__).parents[1] / "libs/terrane_cli/terrane_cli"
    return sum(len(file.read_text().splitlines()) for file in folder.rglob("*.py"))


def try_kind(copy: Project, kind: str, found: Found) -> None:
    """Makes a location of the kind on the platform that runs, waits for its asset in the UI, and removes it."""
    before = _of_platform(copy)
    began = time.monotonic()
    made = _run(copy, "location", NAME, "--kind", kind)
    _run(copy, "up")
    api = DagsterApi(Settings.load(copy).url("webserver"))
    path = [part.format(name=NAME) for part in KEYS[Kind(kind)]]
    while not api.query(ASSET, keys=[{"path": path}])["assetNodes"]:
        if time.monotonic() - began > PATIENCE_S:
            raise TimeoutError(f"{'/'.join(path)} is not in the UI after {PATIENCE_S} s")
        time.sleep(0.2)
    found.seconds.setdefault(kind, []).append(time.monotonic() - began)
    elsewhere = {file for file in changes(copy.root) if not file.startswith(f"code_locations/{NAME}/")}
    found.edited |= elsewhere - written(made)
    _run(copy, "location-remove", NAME)
    found.left |= changes(copy.root, ignored=True) | (_of_platform(copy) ^ before)
    if api.query(ASSET, keys=[{"path": path}])["assetNodes"]:
        found.left.add(f"{'/'.join(path)} in the UI")
    found.kinds.add(kind)


@contextmanager
def running_copy() -> Iterator[Project]:
    """A copy of the checkout whose platform runs, with its state elsewhere; stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="terrane-locations-") as work, temporary_server_folder("bench") as state:
        # The servers' own account must pass through it.
        state.chmod(0o755)
        os.environ["TERRANE_STATE"] = str(state / "state")
        copy = copy_checkout(Project.here(), Path(work) / "checkout")
        try:
            _run(copy, "up")
            yield copy
        finally:
            terrane(copy, "down", TERRANE_STATE=str(copy.state))


def _of_platform(copy: Project) -> set[str]:
    """What the platform keeps of its locations, and its processes with their pids."""
    kept = {f"{part}/{p.name}" for part in ("run", "logs", "loaded") for p in (copy.state / part).iterdir()}
    kept |= {f"port of {name}" for name in Settings.load(copy).ports}
    return kept | {f"{name}, pid {r.pid}" for name, r in Supervisor(copy.state / "run").running().items()}


def _run(copy: Project, *words: str) -> str:
    done = terrane(copy, *words, TERRANE_STATE=str(copy.state))
    if done.returncode:
        raise RuntimeError(f"terrane {' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout


def _load() -> float:
    return round(os.getloadavg()[0], 1)


if __name__ == "__main__":
    sys.exit(main())
