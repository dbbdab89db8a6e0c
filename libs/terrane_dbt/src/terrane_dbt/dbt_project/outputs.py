"""The outputs of a step with many tables, found once: Dagster looks through all of them again for each table it stores.

`get_output_asset_keys` is a name of Dagster's that a test holds to the installed release.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg


@contextmanager
def outputs_known(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Inside, the step's assets are not looked for again; which they are does not change while it runs."""
    step: Any = context.op_execution_context.get_step_execution_context()
    keys = step.get_output_asset_keys()
    step.get_output_asset_keys = lambda: keys
    try:
        yield
    finally:
        del step.get_output_asset_keys
