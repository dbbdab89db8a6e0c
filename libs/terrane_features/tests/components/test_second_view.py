"""A view and a service that are added to the repository: assets, lineage, checks and values, with no Python written."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from terrane.postgres import PostgresResource
from terrane_features.checks.results import BLOCKING, WARNING
from terrane_features.components import FeatureViews
from terrane_features.resources import FeastResource, FeatureServer

SECOND = '''
"""Where a user was, a row a user and a country."""

from datetime import timedelta

from entities import user_entity
from feast import Entity, FeatureService, FeatureView, Field, ValueType
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
from feast.types import Int64, String
from user_journal import user_journal_features

country = Entity(name="country", join_keys=["country_code"], value_type=ValueType.STRING)
visits = FeatureView(
    name="visits",
    entities=[user_entity, country],
    ttl=timedelta(days=1),
    schema=[Field(name="visits_total", dtype=Int64), Field(name="last_city", dtype=String)],
    source=PostgreSQLSource(name="visits_source", table="gold.visits", timestamp_field="seen_at"),
    description="Visits.",
)
travel = FeatureService(name="travel", features=[visits[["last_city"]], user_journal_features[["last_country"]]])
'''
VISITS, TRAVEL = dg.AssetKey(["online", "visits"]), dg.AssetKey(["feature_services", "travel"])
JOURNAL = dg.AssetKey(["online", "user_journal_features"])


@pytest.fixture
def second(repository_copy: Path) -> Path:
    (repository_copy / "visits.py").write_text(SECOND)
    return repository_copy


@pytest.mark.unit
def test_it_is_an_asset_with_checks_from_its_own_table_and_the_service_is_downstream_of_both_views(
    second: Path,
) -> None:
    made = FeatureViews(repository=str(second)).build_defs(dg.ComponentTree.for_test().load_context)
    resources = {
        "feast": FeastResource(repo_path=str(second)),
        "warehouse": PostgresResource.from_env("WAREHOUSE"),
        "feature_server": FeatureServer(),
    }
    graph = dg.Definitions.merge(made, dg.Definitions(resources=resources)).resolve_asset_graph()
    assert graph.get(VISITS).parent_keys == {dg.AssetKey(["gold", "visits"]), dg.AssetKey(["feast", "registry"])}
    assert dg.AssetKey(["gold", "visits"]) in graph.get(dg.AssetKey(["feast", "registry"])).parent_keys
    assert {key.name for key in graph.get(VISITS).check_keys} == {*BLOCKING, *WARNING}
    service = graph.get(TRAVEL)
    assert service.parent_keys == {VISITS, JOURNAL}
    assert (service.is_materializable, service.group_name, service.owners) == (
        False,
        "serving",
        [f"team:{Path.cwd().name}"],
    )


@pytest.mark.integration
def test_it_is_applied_written_checked_and_read_like_the_first(stores, second: Path) -> None:
    assert stores.feast.folder == second
    stores.sql(
        "create table gold.visits (user_id bigint, country_code text, seen_at timestamptz, visits_total int,"
        " last_city text)"
    )
    stores.sql(
        "insert into gold.visits select u, c, now() - interval '1 hour', u, 'city ' || u"
        " from generate_series(1, 20) u, unnest(array['de', 'fr', 'x, y']) c"
    )
    result = stores.run()
    seen = {e.check_name: e.passed for e in result.get_asset_check_evaluations() if e.asset_key == VISITS}
    assert seen == dict.fromkeys([*BLOCKING, *WARNING], True)
    (event,) = result.asset_materializations_for_node("online__visits")
    assert event.metadata["keys_in_redis"].value == 60
    answer = stores.feast.store().get_online_features(
        features=stores.feast.store().get_feature_service("travel"),
        entity_rows=[{"user_id": 7, "country_code": "x, y"}, {"user_id": 7, "country_code": "gb"}],
    )
    assert answer.to_dict()["last_city"] == ["city 7", None]
    assert stores.row(stores.feast.repository().view("visits"), 7, "fr")["visits_total"] == 7
