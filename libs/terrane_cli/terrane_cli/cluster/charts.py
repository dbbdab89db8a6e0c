"""The umbrella's dependencies: the official Dagster chart from a cache by version, and our own from their folders.

The cache is filled from the chart's repository once; after that no network is needed. Nothing of it is committed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import yaml

from terrane_cli.cluster.commands import ClusterError, run
from terrane_cli.project import Project


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "terrane/charts"


def official_chart(project: Project) -> Path:
    """The packed Dagster chart of the pinned version, downloaded when the cache has none.

    Raises ClusterError when neither cache nor network has it.
    """
    wanted = next(d for d in _dependencies(project) if d["name"] == "dagster")
    packed = cache_folder() / f"dagster-{wanted['version']}.tgz"
    if not packed.exists():
        packed.parent.mkdir(parents=True, exist_ok=True)
        pull = ["helm", "pull", "dagster", "--repo", wanted["repository"], "--version", wanted["version"]]
        try:
            run([*pull, "--destination", str(packed.parent)])
        except ClusterError as problem:
            raise ClusterError(
                f"the Dagster chart is not in {packed.parent}, and cannot be downloaded: {problem}"
            ) from None
    return packed


def fill_dependencies(project: Project) -> Path:
    """Puts every dependency of the umbrella into its `charts/`; returns that folder."""
    target = project.root / "charts/platform/charts"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    shutil.copy(official_chart(project), target)
    for name in sorted({d["name"] for d in _dependencies(project)} - {"dagster"}):
        run(["helm", "package", str(project.root / "charts" / name), "--destination", str(target)])
    return target


def _dependencies(project: Project) -> list[dict[str, str]]:
    return yaml.safe_load((project.root / "charts/platform/Chart.yaml").read_text())["dependencies"]
