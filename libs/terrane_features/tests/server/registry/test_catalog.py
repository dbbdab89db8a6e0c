"""What is read from Feast's records without Feast is what Feast declared."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from feast.feature_view import FeatureViewState
from serving import DEFINITIONS

from terrane_features.registry.lock import lock_name
from terrane_features.server.registry.catalog import Catalog, read_catalog
from terrane_features.server.registry.load import BeingWritten, NotApplied, read_if_changed

pytestmark = pytest.mark.integration


def read(served) -> Catalog:
    catalog = read_if_changed(served.settings.registry, "served", None, serve_while_materializing=True).catalog
    assert catalog is not None
    return catalog


def test_views_are_read_with_their_keys_features_and_ttls(served) -> None:
    catalog = read(served)
    for view in served.store.list_feature_views():
        ours = catalog.views[view.name]
        keys = {column.name: column.dtype.to_value_type().value for column in view.entity_columns}
        assert dict(ours.join_keys) == (keys or {"__dummy_id": 2})
        assert dict(ours.features) == {field.name: field.dtype.to_value_type().value for field in view.features}
        assert ours.ttl_s == (view.ttl.total_seconds() if view.ttl else 0)
        assert (ours.not_servable_reason, ours.fallback_reason, ours.materialized) == ("", "", True)
    assert catalog.views["derived"].fallback_reason == "its kind is on demand view"
    assert len(catalog.views) == 6


def test_services_are_read_with_their_projections_in_order(served) -> None:
    catalog = read(served)
    for service in served.store.list_feature_services():
        ours = catalog.services[service.name]
        assert [(p.view, p.alias, list(p.features), p.join_key_map) for p in ours.projections] == [
            (p.name, p.name_alias or "", [f.name for f in p.features], p.join_key_map)
            for p in service.feature_view_projections
        ]
        assert bool(ours.fallback_reason) == (service.name == "on_demand")
    assert set(catalog.services) == {s.name for s in DEFINITIONS if type(s).__name__ == "FeatureService"}


def test_entities_are_read_with_their_join_keys(served) -> None:
    keys = {"user": "user_id", "country": "country_code", "age_group": "age"}
    assert keys.items() <= read(served).entity_keys.items()


def test_the_same_records_are_not_read_twice_and_nothing_is_read_while_somebody_writes(served) -> None:
    uri = served.settings.registry
    digest = read_if_changed(uri, "served", None, serve_while_materializing=True).digest
    assert read_if_changed(uri, "served", digest, serve_while_materializing=True).catalog is None
    with served.warehouse.connect(autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [lock_name("served")])
        with pytest.raises(BeingWritten):
            read_if_changed(uri, "served", digest, serve_while_materializing=True)


def test_whoever_knows_nothing_yet_reads_while_somebody_writes(served) -> None:
    with served.warehouse.connect(autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [lock_name("served")])
        read = read_if_changed(served.settings.registry, "served", None, serve_while_materializing=True)
    assert read.catalog
    assert "countries" in read.catalog.views


def test_a_registry_without_tables_is_not_applied(served) -> None:
    elsewhere = served.settings.registry.replace("search_path%3Dfeast", "search_path%3Dpublic")
    with pytest.raises(NotApplied):
        read_if_changed(elsewhere, "served", None, serve_while_materializing=True)
    with pytest.raises(psycopg.OperationalError, match="127.0.0.1"):
        read_if_changed("postgresql://nobody@127.0.0.1:1/none", "served", None, serve_while_materializing=True)


@pytest.mark.parametrize("state", list(FeatureViewState))
@pytest.mark.parametrize("while_materializing", [True, False])
def test_a_view_is_served_in_the_states_in_which_feast_serves_it(
    served, state: FeatureViewState, while_materializing: bool
) -> None:
    record = served.store.get_feature_view("world").to_proto()
    record.meta.state = state.value
    view = read_catalog("served", [("view", record.SerializeToString())], while_materializing).views["world"]
    served_by_feast = {FeatureViewState.STATE_UNSPECIFIED, FeatureViewState.AVAILABLE_ONLINE}
    if while_materializing:
        served_by_feast.add(FeatureViewState.MATERIALIZING)
    assert (view.not_servable_reason == "") == (state in served_by_feast)
    assert state in served_by_feast or state.name in view.not_servable_reason


def test_a_disabled_view_and_one_without_its_entity_are_not_served(served) -> None:
    record = served.store.get_feature_view("ages").to_proto()
    orphan = read_catalog("served", [("view", record.SerializeToString())], True).views["ages"]
    assert orphan.not_servable_reason == "Feature view ages names the entity age_group, which the registry lacks"
    record.spec.disabled = True
    entity = served.store.get_entity("age_group").to_proto()
    records: list[Any] = [("entity", entity.SerializeToString()), ("view", record.SerializeToString())]
    assert read_catalog("served", records, True).views["ages"].not_servable_reason == "Feature view ages is disabled"
