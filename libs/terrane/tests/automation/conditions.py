"""Assets and checks of the smallest worlds in which conditions are tried."""

from __future__ import annotations

from typing import Any

import dagster as dg

from terrane_dev.automation import Run, World


def asset(name: str, *deps: str, condition: object = None, **options: object) -> Any:
    @dg.asset(name=name, deps=list(deps), automation_condition=condition, **options)  # pyright: ignore
    def made() -> None: ...

    return made


def blocking(name: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=name, name=f"{name}_is_good", blocking=True)
    def check() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    return check


def only(world: World) -> Run:
    (run,) = world.runs
    return run
