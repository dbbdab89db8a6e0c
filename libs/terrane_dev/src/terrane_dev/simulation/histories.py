"""One history: a day of sources that change, runs that fail, and a daemon and a location that come and go, by a seed.

What is made is recorded as what it was made of, which is all that the oracle sees. Nothing is executed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from terrane import policies
from terrane_dev.automation import Run, Status, World

START = datetime(2026, 3, 2, 1, 3, tzinfo=UTC)
DAYS = dg.DailyPartitionsDefinition("2026-02-26", timezone="UTC")
PARTITIONS = ("2026-02-26", "2026-02-27", "2026-02-28", "2026-03-01")
EVENTS, QUIET_TICKS = 24, 14
READS = {
    "per_day": ["days"],
    "of_days": ["days"],
    "of_table": ["table"],
    "mart": ["of_days", "of_table"],
    "export": ["mart"],
}
SOURCES = ("days", "table")
BAD = "bad"

Content = str


@dataclass(frozen=True)
class Made:
    """A materialisation: of what, when, what it holds, whether its checks passed, and what it read of each input."""

    name: str
    at: datetime
    content: Content
    good: bool
    read: dict[str, Content] = field(default_factory=dict)


@dataclass
class Conditions:
    """The conditions that a history goes by; a test takes some part of them away."""

    new: Callable[[], dg.AutomationCondition] = policies.when_new
    settle: Callable[[bool], dg.AutomationCondition] = lambda reads: policies.when_sources_settle(
        map(dg.AssetKey, SOURCES), reads_them=reads
    )


def definitions(conditions: Conditions, version: str) -> list[object]:
    """A table by days and one that is whole, what a project makes of them, and an export of that."""

    def asset(name: str, condition: dg.AutomationCondition | None = None, **options: object) -> Any:
        @dg.asset(name=name, deps=READS.get(name, []), automation_condition=condition, **options)  # pyright: ignore
        def made() -> None: ...

        return made

    @dg.asset_check(asset="mart", name="mart_is_good", blocking=True)
    def check() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    reading = conditions.settle(True)
    return [
        asset("days", partitions_def=DAYS),
        asset("table"),
        asset("per_day", conditions.new(), partitions_def=DAYS),
        asset("of_days", reading),
        asset("of_table", reading),
        asset("mart", conditions.settle(False), code_version=version),
        asset("export", conditions.new()),
        check,
    ]


class History:
    """Drives a world by a seed, and keeps what was made."""

    def __init__(self, seed: int, conditions: Conditions, instance: dg.DagsterInstance):
        self.random, self.conditions, self.versions = random.Random(seed), conditions, 0  # noqa: S311 - no secret
        self.world = World(definitions(conditions, "1"), instance, START)
        self.made: list[Made] = []
        self.reading: dict[str, dict[str, Content]] = {}
        self.faults = True

    def play(self) -> list[Made]:
        """Half a day of events, then a quiet time in which nothing fails any more."""
        self.world.tick()
        for _ in range(EVENTS):
            self._happen()
            self._tick(self.random.choice([5, 60, 600]))
        self.faults = False
        for _ in range(QUIET_TICKS):
            self._tick(600)
            self._go_on_all()
        return self.made

    def _happen(self) -> None:
        kind = self.random.choice(["day", "day", "table", "bad table", "nothing", "deploy", "down"])
        if kind == "day":
            partition = self.random.choice(PARTITIONS)
            self._make(f"days@{partition}", lambda: self.world.made("days", partitions=[partition]))
        elif kind.endswith("table"):
            content = f" {BAD}" if kind.startswith("bad") else ""
            self._make("table", lambda: self.world.made("table"), content)
        elif kind == "deploy" and self.random.random() < 0.3:
            self.world.deploy(definitions(self.conditions, str(self.versions)))
        elif kind == "down":
            self.world.wait(seconds=self.random.choice([30, 1800]))

    def _make(self, name: str, write: Callable[[], None], suffix: str = "") -> None:
        self.versions += 1
        write()
        self.made.append(Made(name, self.world.now, f"{name} {self.versions}{suffix}", good=True))

    def _tick(self, seconds: float) -> None:
        launched = not (self.faults and self.random.random() < 0.1)
        self.world.tick(seconds, launch=launched)
        self._go_on_all()

    def _go_on_all(self) -> None:
        for run in list(self.world.runs):
            self._go_on(run)

    def _go_on(self, run: Run) -> None:
        """The run begins to read, goes on, fails, is cancelled or dies: one thing a tick."""
        if self.faults and self.random.random() < 0.25:
            self.world.end(run, self.random.choice([Status.FAILURE, Status.CANCELED]))
        elif run.id not in self.reading:
            self.reading[run.id] = self._inputs(run)
        else:
            self._finish(run, self.reading.pop(run.id))

    def _finish(self, run: Run, read: dict[str, Content]) -> None:
        name = f"{run.keys[0]}@{run.partition}" if run.partition else run.keys[0]
        content = " + ".join(read.values())
        good = run.keys[0] != "mart" or BAD not in content
        self.world.make_next(run, {"mart": good})
        self.made.append(Made(name, self.world.now, content, good, read))
        if not good:
            self.world.end(run, Status.FAILURE)
        elif not run.keys:
            self.world.end(run, Status.SUCCESS)

    def _inputs(self, run: Run) -> dict[str, Content]:
        """The newest content of each input, good or not: a run reads what is there."""
        newest = {each.name: each.content for each in self.made}
        inputs = READS[run.keys[0]]
        if run.partition:
            return {f"{name}@{run.partition}": newest[f"{name}@{run.partition}"] for name in inputs}
        return {name: content for name, content in newest.items() if name.split("@")[0] in inputs}


def play(seed: int, conditions: Conditions | None = None) -> list[Made]:
    """What was made in the history of that seed."""
    with dg.DagsterInstance.ephemeral() as instance:
        return History(seed, conditions or Conditions(), instance).play()
