"""The charts with their dependencies, in a folder of the tests' own, and every render once a session."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.charts.rendering import PROFILES, Render, render

from terrane_cli.cluster.charts import fill_dependencies, official_chart
from terrane_cli.cluster.commands import ClusterError
from terrane_cli.project import Project

Rendering = Callable[..., Render]


@pytest.fixture(scope="session")
def _helm() -> None:
    """helm on PATH, or where TERRANE_HELM says."""
    if named := os.environ.get("TERRANE_HELM"):
        os.environ["PATH"] = os.pathsep.join([str(Path(named).parent), os.environ["PATH"]])
    if not shutil.which("helm"):
        pytest.skip("there is no helm on PATH, and TERRANE_HELM names none: https://helm.sh")


@pytest.fixture(scope="session")
def own_charts(project: Project, _helm: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `charts`, as it is in the checkout."""
    root = tmp_path_factory.mktemp("checkout")
    shutil.copytree(project.root / "charts", root / "charts", ignore=shutil.ignore_patterns("*.tgz"))
    return root / "charts"


@pytest.fixture(scope="session")
def charts(own_charts: Path) -> Path:
    """The same with the umbrella's dependencies, of which one is not ours."""
    try:
        fill_dependencies(Project(own_charts.parent))
    except ClusterError as problem:
        pytest.skip(f"this needs the official Dagster chart: {problem}")
    return own_charts


@pytest.fixture(scope="session")
def rendered(charts: Path) -> Rendering:
    """Renders a profile with settings, each combination once."""
    renders: dict[tuple[str, ...], Render] = {}

    def ensure(profile: str, *settings: str) -> Render:
        key = (profile, *settings)
        if key not in renders:
            renders[key] = render(charts, *key)
        return renders[key]

    return ensure


@pytest.fixture(params=PROFILES)
def profile(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def every(profile: str, rendered: Rendering) -> Render:
    """Each profile's render."""
    return rendered(profile)


@pytest.fixture(scope="session")
def location_chart(project: Project, charts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The official chart of code locations alone, which is inside the Dagster chart."""
    folder = tmp_path_factory.mktemp("official")
    subprocess.run(["tar", "-xzf", official_chart(project), "-C", folder], check=True)
    return folder / "dagster/charts/dagster-user-deployments"
