"""The charts with their dependencies, in a folder of the tests' own, and every render once a session.

All of it is done with the official chart that `terrane cluster charts` takes, and again with an older release of it
where TERRANE_DAGSTER_CHART_OLDER names one. Without helm or chart the tests fail, unless TERRANE_CHARTS is `skip`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from tests.charts.rendering import PROFILES, SETTINGS, Command, Render, once, profile_values, template

from terrane_cli.charts.dependencies import fill_dependencies, official_chart, own_chart
from terrane_cli.commands import CliError
from terrane_cli.project import Project

Rendering = Callable[..., Render]
STORES = ("postgres", "redis", "minio")
OLDER = os.environ.get("TERRANE_DAGSTER_CHART_OLDER")


def _missing(what: str) -> NoReturn:
    if os.environ.get("TERRANE_CHARTS") == "skip":
        pytest.skip(f"TERRANE_CHARTS=skip: {what}")
    pytest.fail(f"{what}. TERRANE_CHARTS=skip leaves out what needs it", pytrace=False)


@pytest.fixture(scope="session")
def _helm() -> None:
    """helm on PATH, or where TERRANE_HELM says."""
    if named := os.environ.get("TERRANE_HELM"):
        os.environ["PATH"] = os.pathsep.join([str(Path(named).parent), os.environ["PATH"]])
    # A render ends long before helm's memory is worth collecting: a fifth less of processor time.
    os.environ["GOGC"] = "off"
    if not shutil.which("helm"):
        _missing("there is no helm on PATH, and TERRANE_HELM names none: https://helm.sh")


@pytest.fixture(scope="session")
def own_charts(project: Project, _helm: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `charts`, as it is in the checkout, and each store's chart with what it shares with the others."""

    def make() -> Path:
        charts = _checkout(project, tmp_path_factory)
        for name in STORES:
            own_chart(Project(charts.parent), name)
        return charts

    return once("own", make)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests are run on both releases of the official chart, unless their module is about our charts alone."""
    if "official" in metafunc.fixturenames:
        only_ours = getattr(metafunc.module, "ABOUT_OUR_CHARTS_ALONE", False)
        releases = ["newest"] if only_ours or not OLDER else ["newest", "older"]
        metafunc.parametrize("official", releases, indirect=True, scope="session")


@pytest.fixture(scope="session")
def official(request: pytest.FixtureRequest, project: Project, _helm: None) -> Path:
    """The official Dagster chart, packed."""
    try:
        return Path(str(OLDER)) if request.param == "older" else official_chart(project)
    except CliError as problem:
        _missing(f"this needs the official Dagster chart: {problem}")


@pytest.fixture(scope="session")
def charts(official: Path, project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the umbrella's dependencies, of which one is not ours."""

    def make() -> Path:
        charts = _checkout(project, tmp_path_factory)
        fill_dependencies(Project(charts.parent), official)
        return charts

    return once(f"filled {official}", make)


@pytest.fixture(scope="session")
def rendered(charts: Path) -> Rendering:
    """Renders a profile with settings, and with other fields of Command."""

    def ensure(profile: str, *settings: str, **fields: object) -> Render:
        values = profile_values(charts, profile)
        whole = (*SETTINGS.get(profile, ()), *settings)
        return template(Command(charts / "platform", values, whole, **fields))  # pyright: ignore[reportArgumentType]

    return ensure


@pytest.fixture(params=PROFILES)
def profile(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def every(profile: str, rendered: Rendering) -> Render:
    """Each profile's render."""
    return rendered(profile)


@pytest.fixture(scope="session")
def official_folder(official: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The official chart, as its packer left it."""
    return once(f"official {official}", lambda: _unpacked(official, tmp_path_factory)) / "dagster"


@pytest.fixture(scope="session")
def location_chart(charts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The official chart of code locations alone, which is inside the Dagster chart, with its schema made to work."""
    (packed,) = (charts / "platform/charts").glob("dagster-*.tgz")
    folder = once(f"locations {charts}", lambda: _unpacked(packed, tmp_path_factory))
    return folder / "dagster/charts/dagster-user-deployments"


def _unpacked(packed: Path, folders: pytest.TempPathFactory) -> Path:
    folder = folders.mktemp("unpacked")
    subprocess.run(["tar", "-xzf", packed, "-C", folder], check=True)
    return folder


def _checkout(project: Project, folders: pytest.TempPathFactory) -> Path:
    """A copy of the charts, with what `terrane cluster charts` reads beside them."""
    root = folders.mktemp("checkout")
    shutil.copytree(project.root / "charts", root / "charts", ignore=shutil.ignore_patterns("*.tgz"))
    shutil.copy(project.root / "requirements-dev.lock", root)
    return root / "charts"
