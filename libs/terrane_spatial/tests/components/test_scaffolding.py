"""`dg scaffold defs` writes datasets that load."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster.components.testing import create_defs_folder_sandbox

from terrane_spatial.components import RasterDataset, SpatialDataset

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("component", [SpatialDataset, RasterDataset])
def test_what_is_written_loads(component: type[dg.Component]) -> None:
    with create_defs_folder_sandbox() as sandbox:
        folder = sandbox.scaffold_component(component, defs_path="Old Rivers")
        with sandbox.load_component_and_build_defs(defs_path=folder) as (_, made):
            assets = [made for made in made.assets or () if isinstance(made, dg.AssetsDefinition)]
    assert dg.AssetKey(["data_lake", "old_rivers"]) in {key for asset in assets for key in asset.keys}


def test_dg_s_command_writes_it_and_finds_it_right(project: Path) -> None:
    def dg_says(*words: str) -> str:
        variables = os.environ | {"VIRTUAL_ENV": sys.prefix, "PYTHONPATH": str(project / "src")}
        command = [Path(sys.executable).parent / "dg", *words]
        done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    dg_says("scaffold", "defs", "terrane_spatial.components.SpatialDataset", "lakes")
    assert "dataset: lakes" in (project / "src/rivers/defs/lakes/defs.yaml").read_text()
    assert "validated successfully" in dg_says("check", "yaml")
