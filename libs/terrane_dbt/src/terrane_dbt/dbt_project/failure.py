"""Why a build failed, in a few lines, and whether a retry may mend it, from what dbt recorded of it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from terrane import names
from terrane.errors import Permanent, Temporary, is_temporary_text
from terrane.store_advice import postgres_advice

RESULTS = "run_results.json"
BAD = ("error", "fail", "runtime error")


def failure_of(target: Path, otherwise: str, code: int | None, made: Sequence[str]) -> Temporary | Permanent:
    """What failed and what was left out for it, as an error that says whether it may pass.

    Args:
        target: where dbt wrote its artifacts.
        otherwise: what to say of a build that ended before there were any results.
        code: of dbt's process; below 0 it was killed by that signal.
        made: the tables that were made before.
    """
    if code is not None and code < 0:
        return Temporary(
            f"dbt was killed by {_signal(-code)}{_after(made)}. What it was building is as it was; see that there is "
            "memory enough, then materialise the models again"
        )
    file = target / RESULTS
    results = json.loads(file.read_text())["results"] if file.exists() else []
    bad = [result for result in results if result["status"] in BAD]
    if not bad:
        kind = Temporary if is_temporary_text(otherwise) else Permanent
        advice = postgres_advice(otherwise, names.WAREHOUSE.upper())
        return kind(
            f"dbt build failed before it built anything: {_line(otherwise)}. Gold is as it was; see "
            f"{advice or 'that the warehouse answers'}, then materialise the models again"
        )
    skipped = [_name(result) for result in results if result["status"] == "skipped" and _is_model(result)]
    left_out = f" Left as they were, since they come after it: {', '.join(skipped)}." if skipped else ""
    told = f"dbt build failed in {_sentence(bad)}.{left_out}"
    if any(is_temporary_text(result["message"] or "") for result in bad):
        return Temporary(f"{told} See that the warehouse runs and has room, then materialise what failed again")
    return Permanent(
        f"{told} Mend the model, or the rows that a test refuses, then materialise what failed and what comes after it"
    )


def _signal(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"


def _after(made: Sequence[str]) -> str:
    return f" after it had made {', '.join(made)}" if made else " before it had made anything"


def _sentence(bad: Iterable[Mapping[str, Any]]) -> str:
    return "; ".join(f"{_name(result)}: {_line(result['message'] or result['status'])}" for result in bad)


def _name(result: Mapping[str, Any]) -> str:
    """`model user_journal_features` of `model.terrane.user_journal_features`; tests have a hash behind their name."""
    kind, _, name, *_ = result["unique_id"].split(".")
    return f"{kind} {name}"


def _is_model(result: Mapping[str, Any]) -> bool:
    return result["unique_id"].startswith("model.")


def _line(text: str) -> str:
    return " ".join(text.split())
