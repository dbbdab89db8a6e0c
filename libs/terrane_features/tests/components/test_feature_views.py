"""A repository's YAML: its limits reach the checks of its views."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest
from dagster.components.testing import create_defs_folder_sandbox

from terrane_features.checks.results import DISTRIBUTIONS, FRESH, NULLS
from terrane_features.components import FeatureViews
from terrane_features.resources import FeatureServer

pytestmark = pytest.mark.integration


def warnings(stores, **attributes: Any) -> set[str]:
    """The checks that warn when every asset of the repository is materialised."""
    content = {"repository": str(stores.feast.folder), **attributes}
    yaml = {"type": "terrane_features.components.FeatureViews", "attributes": content}
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(component_cls=FeatureViews, defs_yaml_contents=yaml)
        with sandbox.load_component_and_build_defs(defs_path=path) as (_, made):
            resources = {"feast": stores.feast, "warehouse": stores.warehouse}
            server = {"feature_server": FeatureServer()}
            definitions = dg.Definitions.merge(made, dg.Definitions(resources={**resources, **server}))
            result = definitions.resolve_implicit_global_asset_job_def().execute_in_process()
    return {e.check_name for e in result.get_asset_check_evaluations() if not e.passed}


def test_limits_of_the_yaml_decide_what_is_told(stores) -> None:
    stores.sql("update gold.user_journal_features set event_timestamp = now() - interval '30 hours'")
    assert warnings(stores, fresh_within_hours=24) == {FRESH}
    stores.sql("update gold.user_journal_features set avg_words = null, entries_total = 4")
    assert warnings(stores, fresh_within_hours=48, drift={"psi": 20, "null_rate": 0.99}) == set()
    stores.sql("update gold.user_journal_features set minutes_total = null, entries_total = 5")
    assert warnings(stores, fresh_within_hours=48, drift={"psi": 0.1, "null_rate": 0.9}) == {NULLS, DISTRIBUTIONS}
