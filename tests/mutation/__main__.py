"""`make mutate ROOM=<package> N=200`: draws faults, tries them one after another, and writes what came of each.

A run that is stopped, or reaches its MINUTES, goes on where it was, at the commit that it began with. SURVIVORS="tests"
brings it to the commit of today and tries what survived once more, with those tests, in modules that are as they were.
What survived stays in the denominator; whoever finds that no test could notice it writes why into the result's
`explained`.
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

from benchmarks.report import merge_figures
from tests.mutation.checkout import Room, changed, commit_of, make
from tests.mutation.chosen_tests import ChosenTests

from terrane_cli.project import Project
from terrane_cli.setup.environments import find_uv

SEED = 20_261_127
# A test that takes longer hangs, which a fault may bring about: it counts as caught.
LONGEST_S = 300
HERE = Path(__file__).parent
RESULTS = "tests/mutation/results"


def main() -> int:
    asked = _asked()
    project = Project.here()
    state = project.state / "mutation" / asked.room
    state.mkdir(parents=True, exist_ok=True)
    tool = _tool(project)
    result = project.root / RESULTS / f"{asked.room}.json"
    if asked.survivors:
        room, drawn = _again(project, tool, state, asked)
    else:
        room = make(project, asked.room, state)
        drawn = _drawn(tool, room, state, asked)
        _try_all(tool, room, state, asked, drawn)
    _write(result, asked, room, drawn)
    _add_up(project.root / RESULTS, room.library.name)
    return 0


def _try_all(tool: Path, room: Room, state: Path, asked: argparse.Namespace, drawn: list[dict[str, Any]]) -> None:
    """Tries those that were not tried yet, until its minutes are over."""
    chosen = ChosenTests(room, state, asked.tests.split())
    end = time.monotonic() + asked.minutes * 60
    for fault in drawn:
        if "outcome" not in fault:
            if time.monotonic() > end:
                print(f"{asked.minutes} minutes are over; the same command goes on")
                break
            tests = chosen.of(room.root / fault["module"], fault["line"], fault["last_line"])
            _note(fault, _tried(tool, room, tests, fault), state, drawn)


def _again(project: Project, tool: Path, state: Path, asked: argparse.Namespace) -> tuple[Room, list[dict[str, Any]]]:
    """Tries what survived with further tests, at the commit of today."""
    before = commit_of(state / "checkout")
    room = make(project, asked.room, state, forward=True)
    drawn = json.loads((state / "drawn.json").read_text())
    for fault in drawn:
        if fault.get("outcome") == "survived":
            if changed(room.root, before, fault["module"]):
                print(f"not tried: {fault['module']} has changed since")
            else:
                _note(fault, _tried(tool, room, asked.survivors.split(), fault), state, drawn)
    return room, drawn


def _note(fault: dict[str, Any], told: dict[str, Any], state: Path, drawn: list[dict[str, Any]]) -> None:
    fault |= told
    (state / "drawn.json").write_text(json.dumps(drawn))
    print(f"{fault['outcome']:9} {fault['module']}:{fault['line']} {fault['operator']}", flush=True)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutate")
    parser.add_argument("room")
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--tests", default="tests", help="of the library, by spaces: to measure coverage with")
    parser.add_argument("--survivors", default="", help="tests, by spaces: to try once more what survived")
    return parser.parse_args()


def _tool(project: Project) -> Path:
    """cosmic-ray's Python, in an environment of its own, so that it decides nothing in ours."""
    folder = project.state / "mutation" / "cosmic-ray"
    if not (folder / "bin" / "python").exists():
        uv = str(find_uv(project))
        subprocess.run([uv, "venv", "--quiet", str(folder)], check=True)
        install = [uv, "pip", "install", "--quiet", "--require-hashes", "-r", str(HERE / "requirements.lock")]
        subprocess.run([*install, "--python", str(folder / "bin" / "python")], check=True)
    return folder / "bin" / "python"


def _drawn(tool: Path, room: Room, state: Path, asked: argparse.Namespace) -> list[dict[str, Any]]:
    """The faults, as drawn the first time, with what came of those that were tried; more where more are asked."""
    kept = state / "drawn.json"
    before = json.loads(kept.read_text()) if kept.exists() else []
    told = _cosmic_ray(tool, room, "list", *map(str, room.modules))
    every = sorted(json.loads(told), key=lambda f: (f["module"], f["operator"], f["occurrence"]))
    random.Random(asked.seed).shuffle(every)
    known = {(f["module"], f["operator"], f["occurrence"], json.dumps(f["arguments"])): f for f in before}
    drawn = []
    for fault in every[: asked.number]:
        fault["module"] = str(Path(fault["module"]).relative_to(room.root))
        key = (fault["module"], fault["operator"], fault["occurrence"], json.dumps(fault["arguments"]))
        drawn.append(known.get(key, fault))
    return drawn


def _tried(tool: Path, room: Room, tests: list[str], fault: dict[str, Any]) -> dict[str, Any]:
    pytest = [
        str(room.python),
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(room.root),
        *tests,
    ]
    command = f"bash -c {shlex.quote(f'cd {shlex.quote(str(room.library))} && {shlex.join(pytest)}')}"
    what = [str(fault["occurrence"]), json.dumps(fault["arguments"]), command, str(LONGEST_S)]
    told = _cosmic_ray(tool, room, "try", str(room.root / fault["module"]), fault["operator"], *what)
    return {**json.loads(told), "tests": len(tests)}


def _cosmic_ray(tool: Path, room: Room, *arguments: str) -> str:
    command = [str(tool), str(HERE / "with_cosmic_ray.py"), *arguments]
    done = subprocess.run(command, cwd=room.root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"cosmic-ray failed: {done.stderr[-2000:]}")
    return done.stdout.strip().splitlines()[-1]


def _write(path: Path, asked: argparse.Namespace, room: Room, drawn: list[dict[str, Any]]) -> None:
    """Writes seed, list, survivors and score; what was explained of a survivor before stays."""
    before = json.loads(path.read_text())["survivors"] if path.exists() else []
    explained = {survivor["diff"]: survivor.get("explained", "") for survivor in before}
    tried = [fault for fault in drawn if fault.get("outcome") in ("caught", "survived")]
    # Paths are those of the project, not of the copy.
    tried = [{**fault, "diff": (fault.get("diff") or "").replace(f"/{room.root}/", "/")} for fault in tried]
    survivors = [fault for fault in tried if fault["outcome"] == "survived"]
    report = {
        "room": asked.room,
        "seed": asked.seed,
        "commit": subprocess.run(
            ["git", "-C", room.root, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip(),
        "mutants": len(tried),
        "score": round(1 - len(survivors) / len(tried), 4) if tried else None,
        "survivors": [{**s, "explained": explained.get(s["diff"], "")} for s in survivors],
        "drawn": [
            {key: fault.get(key) for key in ("module", "line", "operator", "occurrence", "outcome")} for fault in drawn
        ],
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")
    print(f"{asked.room}: {len(tried)} faults, {len(survivors)} survived, score {report['score']}; {path}")


def _add_up(results: Path, library: str) -> None:
    """Puts what came of all of a library's rooms beside the figures of its benchmark."""
    rooms = [json.loads(path.read_text()) for path in sorted(results.glob(f"{library}*.json"))]
    tried = sum(room["mutants"] for room in rooms)
    survived = sum(len(room["survivors"]) for room in rooms)
    if tried:
        how = {"command": "make mutate", "rooms": {room["room"]: room["mutants"] for room in rooms}, "seed": SEED}
        figures = {"mutants": tried, "mutation_score": round(1 - survived / tried, 3)}
        merge_figures(library.removeprefix("terrane_"), figures, how)


if __name__ == "__main__":
    raise SystemExit(main())
