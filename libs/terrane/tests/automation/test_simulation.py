"""Random histories lose no update and serve nothing unproved; without the gate or the retry they do."""

from __future__ import annotations

import dagster as dg
import pytest

from terrane import policies
from terrane_dev.simulation.__main__ import judge_all
from terrane_dev.simulation.histories import START, Conditions, Made, play
from terrane_dev.simulation.oracle import beyond, judge

pytestmark = [pytest.mark.unit, pytest.mark.slow]

# Some 5 s of CPU each; `make simulate` plays 300.
HISTORIES = 6
BROKEN_WITHIN = 6


def test_no_update_is_lost_and_nothing_unproved_is_read() -> None:
    results = list(judge_all(range(1, HISTORIES + 1)))
    assert [found for found in results if found["lost"] or found["unproved"]] == []
    again, new = (sum(int(str(found[name])) for found in results) for name in ("again", "new"))
    assert new > HISTORIES * 5
    assert again <= 0.2 * new


def first_wrong(kind: str) -> list[str]:
    """What the first history that is wrong in this way has."""
    return next((found for seed in range(1, BROKEN_WITHIN + 1) if (found := judge(play(seed, Conditions()))[kind])), [])


def test_without_the_gate_on_checks_something_unproved_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    always = dg.AutomationCondition.missing() | ~dg.AutomationCondition.missing()
    monkeypatch.setattr(policies, "_deps_are_proved", lambda unchecked=(): always)
    assert first_wrong("unproved")


def test_without_the_retry_updates_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    never = dg.AutomationCondition.missing() & ~dg.AutomationCondition.missing()
    monkeypatch.setattr(policies, "_retry", lambda: never)
    assert first_wrong("lost")


def test_the_oracle_sees_what_is_wrong() -> None:
    table = Made("table", START, "t1", good=True)
    of_table = Made("of_table", START, "t1", good=True, read={"table": "t1"})
    assert judge([table, of_table])["lost"] == []
    newer = Made("table", START, "t2", good=True)
    assert judge([table, of_table, newer])["lost"] == ["of_table lacks t2"]
    mart = Made("mart", START, "g", good=False, read={"of_table": "t1"})
    export = Made("export", START, "g", good=True, read={"mart": "g"})
    assert judge([mart, export]) == {"lost": [], "unproved": ["export of g"]}
    assert beyond([of_table, of_table, export]) == (1, 2)
