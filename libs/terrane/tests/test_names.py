"""Names by environment: today's without one, none of which is another environment's, and refused in words."""

from __future__ import annotations

import uuid
from itertools import combinations, permutations

import pytest

from terrane import names
from terrane.names import BadName, Names

ENVIRONMENTS = ("", "staging", "dev", "raw", "run", "gold", "a", "a1", "s")
RUN_ID = "0d2f5a4e-9a53-4c86-b2a4-59c3f6a1d7b8"


def _all(environment: str) -> dict[tuple[str, str], str]:
    """Every name of an environment, by kind and by the name without one."""
    own = Names(environment)
    return {
        **{("schema", base): own.schema(base) for base in names.SCHEMAS},
        **{("bucket", base): own.bucket(base) for base in names.BUCKETS},
        **{
            ("database", base): own.database(base)
            for base in ("dagster", "warehouse", "spatial_compute", "spatial_etl")
        },
        **{("lock", base): own.lock(base) for base in ("terrane ledger", "index of places")},
        ("project", "terrane"): own.feast_project("terrane"),
        ("run", RUN_ID): own.run_schema(RUN_ID),
    }


def test_without_an_environment_names_are_what_they_are() -> None:
    bare = _all("")
    assert {name for (kind, base), name in bare.items() if kind != "run" and name != base} == set()
    assert bare["run", RUN_ID] == "run_0d2f5a4e_9a53_4c86_b2a4_59c3f6a1d7b8"
    assert Names().suffix == ""


def test_an_environment_ends_every_name() -> None:
    own = Names("staging")
    assert own.schema(names.GOLD) == "gold__staging"
    assert own.schema(names.STAGING) == "staging__staging"
    assert own.bucket(names.DATA_LAKE) == "data-lake--staging"
    assert own.feast_project("terrane") == "terrane__staging"
    assert own.database(names.DAGSTER) == "dagster__staging"
    assert own.run_schema(RUN_ID) == "run_0d2f5a4e_9a53_4c86_b2a4_59c3f6a1d7b8__staging"


def test_no_name_of_an_environment_is_one_of_another() -> None:
    for one, other in combinations(ENVIRONMENTS, 2):
        assert not set(_all(one).values()) & set(_all(other).values()), (one, other)


def test_no_project_of_feast_ends_as_one_of_another_environment_does() -> None:
    projects = {Names(environment).feast_project("terrane") for environment in ENVIRONMENTS}
    assert [(a, b) for a, b in permutations(projects, 2) if a.endswith(b)] == []


def test_every_name_fits_the_longest_environment() -> None:
    assert max(map(len, _all("e" * names.LONGEST_ENVIRONMENT).values())) <= names.LONGEST


@pytest.mark.parametrize(
    "environment", ["Staging", "eu-west", "eu_west", "1st", "e" * 17, " dev", "dev\n", "d;drop", "é", "__"]
)
def test_an_environment_that_no_name_can_end_in_is_refused_in_words(environment: str) -> None:
    with pytest.raises(BadName, match="TERRANE_ENVIRONMENT is .*small letters and digits"):
        Names(environment)


@pytest.mark.parametrize("base", ["gold__staging", "Gold", "gold-x", "1gold", "", "g" * 64, 'go"ld'])
def test_a_schema_that_could_be_anothers_or_no_schema_is_refused_in_words(base: str) -> None:
    with pytest.raises(BadName, match="is no schema: it has at most 63"):
        Names().schema(base)
    with pytest.raises(BadName, match="is no project of Feast's"):
        Names().feast_project(base)


def test_a_name_that_is_too_long_with_its_environment_alone_is_refused() -> None:
    assert Names().schema("g" * 60)
    with pytest.raises(BadName, match="at most 63"):
        Names("dev").schema("g" * 60)


@pytest.mark.parametrize("base", ["data--lake", "Data", "ab", "-lake", "lake-", "data_lake", "l" * 64])
def test_a_bucket_that_could_be_anothers_or_no_bucket_is_refused_in_words(base: str) -> None:
    with pytest.raises(BadName, match="is no bucket: it has 3 to 63"):
        Names().bucket(base)


def test_a_runs_schema_leads_back_to_the_run_in_its_environment_alone() -> None:
    for environment in ENVIRONMENTS:
        own = Names(environment)
        assert own.run_of(own.run_schema(RUN_ID)) == RUN_ID
        others = [Names(e) for e in ENVIRONMENTS if e != environment]
        assert {other.run_of(own.run_schema(RUN_ID)) for other in others} == {None}


@pytest.mark.parametrize("schema", ["public", "gold", "run_", "run_a__b__staging", "run_a__staging_", "gold__staging"])
def test_what_is_no_runs_schema_leads_to_no_run(schema: str) -> None:
    assert {Names(e).run_of(schema) for e in ENVIRONMENTS} == {None}


def test_every_run_id_that_dagster_makes_comes_back() -> None:
    for run_id in (str(uuid.uuid4()) for _ in range(100)):
        assert Names("dev").run_of(Names("dev").run_schema(run_id)) == run_id


def test_an_asset_key_has_the_schema_without_the_environment() -> None:
    assert Names().base_of("gold") == "gold"
    assert Names("staging").base_of("gold__staging") == "gold"
    assert Names("staging").base_of("gold") is None
    assert Names().base_of("gold__staging") is None
    assert Names("dev").base_of("gold__staging") is None


def test_a_statement_is_given_its_schemas_and_nothing_else() -> None:
    statement = "select '{}', '{other}', %s from {feast}.online_views join {gold}.t using (id)"
    assert Names().sql(statement) == b"select '{}', '{other}', %s from feast.online_views join gold.t using (id)"
    assert b"feast__dev.online_views join gold__dev.t" in Names("dev").sql(statement)


def test_the_process_says_its_environment() -> None:
    assert names.current({}) == Names()
    assert names.current({"TERRANE_ENVIRONMENT": "dev"}).suffix == "__dev"
    with pytest.raises(BadName):
        names.current({"TERRANE_ENVIRONMENT": "De v"})


def test_what_reads_variables_alone_is_told_the_end_of_names_and_never_another_environments() -> None:
    variables = {"TERRANE_ENVIRONMENT": "dev"}
    names.export(variables)
    assert variables["TERRANE_SUFFIX"] == "__dev"
    bare: dict[str, str] = {}
    names.export(bare)
    assert bare == {"TERRANE_SUFFIX": ""}
    with pytest.raises(BadName, match="TERRANE_SUFFIX is '__dev', and names end in '__staging'"):
        names.export({"TERRANE_ENVIRONMENT": "staging", "TERRANE_SUFFIX": "__dev"})
