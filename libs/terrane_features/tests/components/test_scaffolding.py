"""`dg scaffold defs` writes a repository and a training set of it that load, beside any other repository."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest
from dagster.components.testing import DefsFolderSandbox, create_defs_folder_sandbox

from terrane_features.components import FeatureViews, TrainingSet

pytestmark = pytest.mark.unit


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[DefsFolderSandbox]:
    # Another location's, which is in the environment of every process of the platform.
    monkeypatch.setenv("FEAST_REPO_PATH", "/another/location")
    with create_defs_folder_sandbox() as made:
        yield made


def keys(sandbox: DefsFolderSandbox, component: type, name: str) -> set[str]:
    folder = sandbox.scaffold_component(component, defs_path=name)
    with sandbox.load_component_and_build_defs(defs_path=folder) as (_, made):
        return {spec.key.to_user_string() for spec in made.assets or () for spec in specs(spec)}


def specs(asset: object) -> list[dg.AssetSpec]:
    return list(asset.specs) if isinstance(asset, dg.AssetsDefinition) else [asset]  # type: ignore[list-item]


def test_two_repositories_and_a_training_set_load_and_share_no_key(sandbox: DefsFolderSandbox) -> None:
    stars = keys(sandbox, FeatureViews, "stars")
    assert stars == {"feast/stars_registry", "online/stars_numbers", "feature_services/stars"}
    assert keys(sandbox, FeatureViews, "moons").isdisjoint(stars)
    assert keys(sandbox, TrainingSet, "lessons") == {"training_sets/lessons"}


def test_a_training_set_wants_a_repository_first(sandbox: DefsFolderSandbox) -> None:
    with pytest.raises(ValueError, match="scaffold terrane_features.components.FeatureViews before it"):
        sandbox.scaffold_component(TrainingSet, defs_path="lessons")
