"""Why a build failed, in a few lines, from what dbt recorded of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from terrane import names
from terrane.store_advice import postgres_advice

RESULTS = "run_results.json"
BAD = ("error", "fail", "runtime error")


def explain(target: Path, otherwise: str) -> str:
    """What failed and what was left out for it.

    Args:
        target: where dbt wrote its artifacts.
        otherwise: what to say of a build that ended before there were any results.
    """
    file = target / RESULTS
    results = json.loads(file.read_text())["results"] if file.exists() else []
    bad = [result for result in results if result["status"] in BAD]
    if not bad:
        advice = postgres_advice(otherwise, names.WAREHOUSE.upper())
        return (
            f"dbt build failed before it built anything: {_line(otherwise)}. Gold is as it was; see "
            f"{advice or 'that the warehouse answers'}, then materialise the models again"
        )
    skipped = [_name(result) for result in results if result["status"] == "skipped" and _is_model(result)]
    left_out = f" Left as they were, since they come after it: {', '.join(skipped)}." if skipped else ""
    return (
        f"dbt build failed in {_sentence(bad)}.{left_out} Mend the model, or the rows that a test refuses, then "
        "materialise what failed and what comes after it"
    )


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
