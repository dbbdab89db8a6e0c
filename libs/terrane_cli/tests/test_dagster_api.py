"""What is told of a run that failed, of errors as Dagster keeps them."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from terrane_cli.dagster_api import _root_cause

pytestmark = pytest.mark.unit


def kept(error: Exception, cause: Exception | None = None) -> dict[str, Any]:
    """The error of a step that raised it, as the API gives it."""

    @dg.op
    def step() -> None:
        raise error from cause

    @dg.job
    def job() -> None:
        step()

    result = job.execute_in_process(raise_on_error=False)
    info = result.failure_data_for_node("step").error  # type: ignore[union-attr]
    assert info is not None
    return as_dict(info)


def as_dict(info: Any) -> dict[str, Any]:
    return {"message": info.message, "cause": as_dict(info.cause) if info.cause else None}


def test_of_a_failure_what_it_says_to_people_is_told_and_not_what_caused_it() -> None:
    error = kept(dg.Failure("The store is full. Give it a larger disk."), OSError("no space left on device"))
    assert _root_cause(error) == "The store is full. Give it a larger disk."


def test_of_any_other_error_the_innermost_is_told() -> None:
    assert _root_cause(kept(RuntimeError("no"), OSError("no space left"))) == "OSError: no space left"
