"""A view's declared columns are compared with its table's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from terrane_features.repository.model import KEY_TYPES, Feature, FeatureView
from terrane_features.repository.table_schema import ColumnsDoNotFit, check_views, problems_of, refuse_keys

GOOD = {"user_id": "int8", "at": "timestamptz", "score": "float8", "tags": "_text"}
VIEW = FeatureView(
    name="scores",
    description="",
    join_keys=(("user_id", "INT64"),),
    features=(Feature("score", "Float64"), Feature("tags", "Array(String)")),
    table="gold.scores",
    timestamp_column="at",
    created_column="",
)


@pytest.mark.unit
def test_a_fitting_table_has_no_problem() -> None:
    assert problems_of(VIEW, GOOD) == []


@pytest.mark.unit
@pytest.mark.parametrize("missing", ["user_id", "at", "score", "tags"])
def test_a_missing_column_is_named_with_view_table_and_what_to_do(missing: str) -> None:
    (problem,) = problems_of(VIEW, {name: kind for name, kind in GOOD.items() if name != missing})
    assert problem.startswith(
        f"Feature view scores names the column {missing}, which gold.scores does not have (it has "
    )
    assert problem.endswith("add the column to the dbt model, or correct the view in feast_repo.")


@pytest.mark.unit
@pytest.mark.parametrize(
    ("column", "kind", "wanted"),
    [
        ("user_id", "text", "int2 or int4 or int8"),
        ("at", "timestamp", "timestamptz"),
        ("score", "numeric", "float4 or float8"),
        ("tags", "_int4", "_bpchar or _text or _varchar"),
    ],
)
def test_a_column_of_another_type_is_named_with_both_types(column: str, kind: str, wanted: str) -> None:
    (problem,) = problems_of(VIEW, {**GOOD, column: kind})
    assert f"needs the column {column} of gold.scores as {wanted}, and it is {kind}: cast it" in problem


@pytest.mark.unit
@pytest.mark.parametrize("kind", ["DOUBLE", "BOOL", "UUID", "INT64_LIST", "UNIX_TIMESTAMP", ""])
def test_a_key_that_is_written_to_no_online_store_is_refused(kind: str) -> None:
    for good in KEY_TYPES:
        refuse_keys(replace(VIEW, join_keys=(("user_id", good),)))
    with pytest.raises(ColumnsDoNotFit, match=f"scores .* is keyed by score of type {kind}, and no such key"):
        refuse_keys(replace(VIEW, join_keys=(("user_id", "INT64"), ("score", kind))))


@pytest.mark.unit
def test_feast_itself_has_no_bytes_for_such_a_key() -> None:
    """Should this fail after an upgrade, Feast writes such keys, and the refusal can go."""
    from feast.infra.key_encoding_utils import serialize_entity_key
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    for value in (Value(double_val=1.5), Value(float_val=1.5), Value(bool_val=True), Value(uuid_val="x")):
        with pytest.raises(ValueError, match="Value type not supported"):
            serialize_entity_key(EntityKey(join_keys=["score"], entity_values=[value]), 3)


@pytest.mark.integration
def test_problems_of_all_views_are_told_at_once(stores) -> None:
    stores.sql("alter table gold.user_journal_features rename column avg_mood to mood")
    with stores.warehouse.connect() as connection, pytest.raises(ColumnsDoNotFit) as refused:
        check_views(connection, [VIEW, stores.view])
    assert "Feature view scores reads gold.scores, which does not exist: materialise the asset gold/scores" in str(
        refused.value
    )
    assert "names the column avg_mood, which gold.user_journal_features does not have" in str(refused.value)
