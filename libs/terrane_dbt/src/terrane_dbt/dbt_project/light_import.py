"""dagster-dbt without dbt in this process: dbt runs as a program of its own, and importing it here costs as much again.

dagster-dbt does without dbt-core where that is not installed. While it is first imported, here it is as if it was not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.metadata import version

from packaging.version import Version

DBT = "dbt"
# dagster-dbt's name of the version of dbt that it found, a constant of each module that asks for it.
FOUND = "DBT_PYTHON_VERSION"


class _Hidden(MetaPathFinder):
    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname.partition(".")[0] == DBT:
            raise ModuleNotFoundError(f"{fullname} is left to dbt's own process", name=fullname)


@contextmanager
def without_dbt() -> Iterator[None]:
    """Imports of `dbt` inside fail, unless it was imported before."""
    hidden = _Hidden()
    sys.meta_path.insert(0, hidden)
    try:
        yield
    finally:
        sys.meta_path.remove(hidden)


if "dagster_dbt" not in sys.modules:
    with without_dbt():
        import dagster_dbt.core.resource
        import dagster_dbt.utils
    # What asks for dbt by itself, as a selection that is not of everything does, is to find it.
    for _module in (dagster_dbt.utils, dagster_dbt.core.resource):
        setattr(_module, FOUND, Version(version("dbt-core")))


@contextmanager
def all_is_selected() -> Iterator[None]:
    """Inside, dagster-dbt takes all nodes of a manifest for selected without asking dbt's selector."""
    import dagster_dbt.utils

    found = getattr(dagster_dbt.utils, FOUND)
    setattr(dagster_dbt.utils, FOUND, None)
    try:
        yield
    finally:
        setattr(dagster_dbt.utils, FOUND, found)
