"""dbt's command line as Dagster starts it, without what it looks up before each build and never uses here."""

from __future__ import annotations

import sys
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from dagster_dbt import DbtCliResource, DbtProject
from packaging.version import Version

from terrane_dbt.dbt_project.profiles import profiles_folder


class LeanDbtCli(DbtCliResource):
    """Takes dbt's version from what is installed, and makes no adapter of its own in Dagster's process.

    The stock resource starts dbt once more for its version, and loads every macro to have a connection for counting
    rows: a third of the time of a small build. A test holds these two names to the installed dagster-dbt.
    """

    @cached_property
    def _cli_version(self) -> Version:
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        return None


def dbt_cli(project: DbtProject) -> LeanDbtCli:
    """The command line of the dbt that is installed beside this Python, whatever PATH says."""
    return LeanDbtCli(
        project_dir=str(project.project_dir),
        profiles_dir=str(project.profiles_dir),
        dbt_executable=str(Path(sys.executable).parent / "dbt"),
    )


def dbt_project(folder: Path, schema: str | None = None) -> DbtProject:
    """The project, with the profiles that `profiles_folder` finds for it."""
    return DbtProject(folder, profiles_dir=profiles_folder(folder, schema))
