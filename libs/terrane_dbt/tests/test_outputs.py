"""A step's assets are looked for once while it builds, and are the ones Dagster finds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from terrane_dbt.dbt_project.outputs import outputs_known

pytestmark = pytest.mark.unit

KEYS = [dg.AssetKey(["gold", name]) for name in ("a", "b", "c")]


def test_they_are_found_once_inside_and_again_afterwards() -> None:
    seen: dict[str, list[Any]] = {}

    def build(context) -> Iterator[dg.MaterializeResult]:
        step = context.op_execution_context.get_step_execution_context()
        with outputs_known(context):
            seen["inside"] = [step.get_output_asset_keys() for _ in range(2)]
            for key in KEYS[:2]:
                yield dg.MaterializeResult(key)
        seen["afterwards"] = [step.get_output_asset_keys() for _ in range(2)]

    assets = dg.multi_asset(specs=[dg.AssetSpec(key) for key in KEYS], can_subset=True)(build)
    assert dg.materialize([assets], selection=KEYS[:2]).success
    one, other = seen["inside"]
    assert one is other
    assert one == {*KEYS[:2]}
    assert seen["afterwards"][0] is not seen["afterwards"][1]
