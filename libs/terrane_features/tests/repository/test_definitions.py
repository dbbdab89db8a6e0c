"""Whatever Feast takes as a definition is served as Feast would serve it; what it cannot materialise stops alone."""

from __future__ import annotations

import dagster as dg
import pytest

from terrane_features.checks.results import BLOCKING

pytestmark = pytest.mark.integration
WIDE, WIDEST = 333, 1000
HEAD = """
from datetime import timedelta

from feast import Entity, FeatureView, Field, ValueType
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
from feast.types import Array, Bool, Bytes, Float64, Int64, String, UnixTimestamp
"""
DEFINITIONS = f"""{HEAD}
user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.INT64)
inferred = Entity(name="inferred", join_keys=["code"])


def source(name, **where):
    return PostgreSQLSource(name=name, timestamp_field="at", **where)


def view(name, where, entity=user, schema=(("a", Int64),), **options):
    fields = [Field(name=feature, dtype=dtype) for feature, dtype in schema]
    return FeatureView(name=name, entities=[entity], schema=fields, source=where, ttl=timedelta(0), **options)


key_in_schema = view("key_in_schema", source("s1", table="gold.t"), schema=[("user_id", Int64), ("a", Int64)])
mapped = view("mapped", source("s2", table="gold.m", field_mapping={{"amount_cents": "a", "who": "user_id"}}))
quoted = view("quoted", source("s3", table='gold."T x"'))
queried = view("queried", source("s4", query="select user_id, a * 2 as a, at from gold.t where user_id % 2 = 0"))
unqualified = view("unqualified", source("s5", table="t"))
typed_by_table = view("typed_by_table", source("s6", table="gold.c"), entity=inferred)
wide = view("wide", source("s7", table="gold.wide"), schema=[(f"f{{i}}", Int64) for i in range({WIDE})])
widest = view("widest", source("s10", table="gold.widest"), schema=[(f"f{{i}}", Int64) for i in range({WIDEST})])
arrays = view(
    "arrays",
    source("s8", table="gold.arrays"),
    schema=[
        ("texts", Array(String)),
        ("doubles", Array(Float64)),
        ("flags", Array(Bool)),
        ("blobs", Array(Bytes)),
        ("times", Array(UnixTimestamp)),
        ("time", UnixTimestamp),
    ],
)
fraction = Entity(name="ratio", join_keys=["ratio"], value_type=ValueType.DOUBLE)
by_fraction = view("by_fraction", source("s11", table="gold.ratios"), entity=fraction)
flag = Entity(name="flag", join_keys=["flag"])
by_flag = view("by_flag", source("s12", table="gold.flags"), entity=flag)
no_entity = FeatureView(name="no_entity", schema=[Field(name="a", dtype=Int64)], source=source("s9", table="gold.t"))
"""
COLUMNS = [f"user_id + {i} as f{i}" for i in range(WIDEST)]
GOLD = f"""
    create table gold.t as select u::bigint as user_id, now() - interval '1 hour' as at, u * 10::bigint as a
        from generate_series(1, 20) u;
    create table gold.m as select user_id as who, at, a + 1 as amount_cents from gold.t;
    create table gold."T x" as select user_id, at, a + 2 as a from gold.t;
    create table gold.ratios as select user_id / 2::float8 as ratio, at, a from gold.t;
    create table gold.flags as select user_id > 10 as flag, at, a from gold.t;
    create table gold.c as select 'c' || user_id as code, at, a + 3 as a from gold.t;
    create table gold.wide as select user_id, at, {", ".join(COLUMNS[:WIDE])} from gold.t;
    create table gold.widest as select user_id, at, {", ".join(COLUMNS)} from gold.t;
    create table gold.arrays as select user_id, at, array['x', null] as texts, array[1.5, null]::float8[] as doubles,
        array[true, null] as flags, array['\\x00'::bytea, null] as blobs,
        array['1969-12-31 23:59:59.5+00'::timestamptz, null] as times, null::timestamptz as time from gold.t
"""


def passed(result: dg.ExecuteInProcessResult) -> dict[str, set[str]]:
    """The blocking checks that failed, by view."""
    failed: dict[str, set[str]] = {}
    for evaluation in result.get_asset_check_evaluations():
        name = evaluation.asset_key.path[-1]
        failed.setdefault(name, set())
        if evaluation.check_name in BLOCKING and not evaluation.passed:
            failed[name].add(evaluation.check_name)
    return failed


def test_every_way_to_declare_a_view_is_served_and_a_bad_one_stops_alone(stores) -> None:
    (stores.feast.folder / "ways.py").write_text(DEFINITIONS)
    (stores.feast.folder / "broken.py").write_text("import nothing_of_that_name\n")
    stores.sql(GOLD)
    result = stores.run(raise_on_error=False)
    failed = passed(result)
    served = {
        "key_in_schema",
        "mapped",
        "quoted",
        "queried",
        "unqualified",
        "typed_by_table",
        "wide",
        "widest",
        "arrays",
    }
    assert {name for name in served | {"user_journal_features"} if failed[name]} == set()
    reasons = {
        event.step_key: event.step_failure_data.user_failure_data.description
        for event in result.get_step_failure_events()
    }
    why = {
        "online__no_entity": "it has no entity",
        "online__by_fraction": "its join key ratio is of type DOUBLE, and no such key is written online",
        "online__by_flag": "is keyed by flag of type BOOL, and no such key is written online",
    }
    assert set(reasons) == set(why)
    for step, reason in reasons.items():
        assert why[step] in reason
        assert "feast_repo/ways.py:" in reason
    problems = [e for e in result.get_asset_check_evaluations() if e.check_name == "every_file_can_be_read"]
    assert [e.passed for e in problems] == [False]
    assert "feast_repo/broken.py:1" in str(problems[0].metadata["problems"].value)
    store = stores.feast.store()

    def read(view: str, feature: str = "a", **key: object) -> object:
        return store.get_online_features([f"{view}:{feature}"], [key]).to_dict()[feature][0]

    assert [read(view, user_id=4) for view in ("key_in_schema", "mapped", "quoted", "queried", "unqualified")] == [
        40,
        41,
        42,
        80,
        40,
    ]
    assert (read("queried", user_id=3), read("typed_by_table", code="c4"), read("wide", "f332", user_id=4)) == (
        None,
        43,
        336,
    )
    assert read("widest", "f999", user_id=4) == 1003


def test_an_apply_from_elsewhere_is_told_and_mended(stores) -> None:
    assert stores.run().success
    again = stores.run()
    (event,) = again.asset_materializations_for_node("feast__registry")
    assert (event.metadata["applied"].value, event.metadata["changed_by_others"].value) == (False, False)
    store = stores.feast.store()
    view = store.get_feature_view("user_journal_features")
    view.features = [feature for feature in view.features if feature.name != "avg_mood"]
    store.registry.apply_feature_view(view, store.project)
    result = stores.run()
    (event,) = result.asset_materializations_for_node("feast__registry")
    assert (event.metadata["applied"].value, event.metadata["changed_by_others"].value) == (True, True)
    assert "avg_mood" in str(event.metadata["changes"].value)
    assert stores.online(5)["avg_words"] == [5 / 7]
