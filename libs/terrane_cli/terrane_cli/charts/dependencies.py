"""The umbrella's dependencies: the official Dagster chart from a cache by version, and our own from their folders.

The cache is filled from the chart's repository once; after that no network is needed. TERRANE_DAGSTER_CHART names a
packed chart to take in its place. Nothing of it is committed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from pathlib import Path

import yaml

from terrane_cli.charts.kubernetes_schema import embed
from terrane_cli.commands import CliError, run
from terrane_cli.project import Project

# Helm reads no file of this folder that begins with a dot.
STAMP = ".made-of"


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "terrane/charts"


def official_chart(project: Project) -> Path:
    """The packed Dagster chart of the pinned version: the one that TERRANE_DAGSTER_CHART names, or the cache's.

    It is downloaded when the cache has none. Raises CliError when it cannot be had, or is another chart or version.
    """
    wanted = _official(project)
    if named := os.environ.get("TERRANE_DAGSTER_CHART"):
        return _checked(Path(named), wanted["version"])
    packed = cache_folder() / f"dagster-{wanted['version']}.tgz"
    if not packed.exists():
        packed.parent.mkdir(parents=True, exist_ok=True)
        pull = ["helm", "pull", "dagster", "--repo", wanted["repository"], "--version", wanted["version"]]
        try:
            run([*pull, "--destination", str(packed.parent)])
        except CliError as problem:
            raise CliError(
                f"the Dagster chart is not in {packed.parent}, TERRANE_DAGSTER_CHART names none, "
                f"and it cannot be downloaded: {problem}"
            ) from None
    return packed


def fill_dependencies(project: Project, official: Path | None = None) -> Path:
    """Puts every dependency of the umbrella into its `charts/`; returns that folder.

    The official chart's schema is made to work without a network on the way.

    Args:
        official: the packed Dagster chart; without it `official_chart` says which.
    """
    official = official or official_chart(project)
    target = project.root / "charts/platform/charts"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    embed(official, target / f"dagster-{dagster_version(project)}.tgz", project, cache_folder())
    for name in sorted({d["name"] for d in _dependencies(project)} - {"dagster"}):
        run(["helm", "package", str(own_chart(project, name)), "--destination", str(target)])
    return target


def own_chart(project: Project, name: str) -> Path:
    """The folder of a chart of ours, with what it shares with the others in its `charts/`."""
    folder = project.root / "charts" / name
    if yaml.safe_load((folder / "Chart.yaml").read_text()).get("dependencies"):
        run(["helm", "dependency", "build", "--skip-refresh", str(folder)])
    return folder


def ensure_dependencies(project: Project) -> tuple[Path, bool]:
    """Does the same where something changed or is gone since the last time; returns the folder, and whether it was
    filled.

    Whoever watches the folder sees no change where there is none.
    """
    official = official_chart(project)
    target, made_of = project.root / "charts/platform/charts", _fingerprint(project, official)
    stamp = target / STAMP
    packed = all(list(target.glob(f"{wanted['name']}-*.tgz")) for wanted in _dependencies(project))
    if packed and stamp.exists() and stamp.read_text() == made_of:
        return target, False
    fill_dependencies(project, official)
    stamp.write_text(made_of)
    return target, True


def _fingerprint(project: Project, official: Path) -> str:
    """One word for the official chart and all that is packed beside it."""
    charts = project.root / "charts"
    parts = {file: file.relative_to(charts).parts for file in charts.rglob("*")}
    # What is packed into them, in `charts/<name>/charts`, is made of the others.
    ours = [file for file, part in parts.items() if part[0] != "platform" and part[1:2] != ("charts",)]
    digest = hashlib.sha256()
    for file in [official, charts / "platform/Chart.yaml", *sorted(ours)]:
        if file.is_file():
            digest.update(f"{file.name} {file.stat().st_size}\n".encode() + file.read_bytes())
    return digest.hexdigest()


def _checked(packed: Path, version: str) -> Path:
    """The chart, when it is Dagster's of this version."""
    try:
        with tarfile.open(packed) as files:
            described = files.extractfile("dagster/Chart.yaml")
            chart = yaml.safe_load(described.read()) if described else {}
    except (OSError, KeyError, tarfile.TarError) as problem:
        raise CliError(f"TERRANE_DAGSTER_CHART: {packed} is no packed chart of Dagster: {problem}") from None
    if (chart.get("name"), chart.get("version")) != ("dagster", version):
        raise CliError(
            f"TERRANE_DAGSTER_CHART: {packed} is {chart.get('name')} {chart.get('version')}, and not dagster {version}"
        )
    return packed


def dagster_version(project: Project) -> str:
    """The version of the official chart, which is Dagster's own."""
    return _official(project)["version"]


def _official(project: Project) -> dict[str, str]:
    return next(d for d in _dependencies(project) if d["name"] == "dagster")


def _dependencies(project: Project) -> list[dict[str, str]]:
    return yaml.safe_load((project.root / "charts/platform/Chart.yaml").read_text())["dependencies"]
