"""What a dataset requires of its tables: every kind, met and broken, with the row and the value in the message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError
from step_bench import Bench

from terrane.postgres import PostgresResource
from terrane_spatial.errors import BatchRejectedError, StageError
from terrane_spatial.runs import run_schema
from terrane_spatial.transforms.requirements import Requirement, require_of_input, require_of_output

pytestmark = pytest.mark.integration
RUN = "requirements"
ROWS = [("a", 1, "POINT(1 2)"), ("b", 2, "POINT(3 4)"), ("b", None, "POINT(190 4)"), ("c", 4, None)]


@pytest.fixture
def bench(postgis: PostgresResource) -> Iterator[Bench]:
    with run_schema.connect(postgis, RUN) as connection:
        run_schema.create(connection, RUN, RUN)
        made = Bench(connection)
        made.table("wells", {"name": "text", "depth": "integer"}, ROWS)
        yield made
        run_schema.drop(connection, run_schema.schema_of(RUN))


@pytest.mark.parametrize(
    "required",
    [
        {"columns": {"name": "text", "depth": "number"}},
        {"columns": {"depth": "integer", "geometry": "any"}},
        {"bounds": [-180, -90, 190, 90]},
        {"rows": {"min": 4, "max": 4}},
        {"unique": [["name", "depth"]], "columns": {}},
    ],
)
def test_what_is_met_passes(bench: Bench, required: dict[str, Any]) -> None:
    bench.connection.execute("delete from wells where depth is null and %s", ["unique" in required])
    require_of_input(bench.connection, "wells", Requirement.model_validate(required))


@pytest.mark.parametrize(
    ("required", "said"),
    [
        ({"columns": {"owner": "text"}}, "wells has no column owner, which is required; it has name, depth, geometry"),
        ({"columns": {"name": "number"}}, "column name of wells is text, and number is required: row 1 has 'a'"),
        ({"bounds": [-180, -90, 180, 90]}, "1 geometries of wells lie outside .* row 3 reaches from 190 4 to 190 4"),
        ({"rows": {"min": 5}}, "wells has 4 rows, and 5 or more are required"),
        ({"rows": {"max": 3}}, "wells has 4 rows, and 1 to 3 are required"),
        ({"unique": [["name"]]}, "name of wells is required to be unique, .*: name 'b' is in 2 rows, 2 and 3 among"),
        ({"unique": [["depth"]]}, "1 rows of wells have no depth, .* the first is row 3"),
        ({"unique": [["id"]]}, "wells has no column id"),
    ],
)
def test_what_is_broken_rejects_the_batch_and_names_row_and_value(
    bench: Bench, required: dict[str, Any], said: str
) -> None:
    with pytest.raises(BatchRejectedError, match=said):
        require_of_input(bench.connection, "wells", Requirement.model_validate(required))


def test_an_output_that_breaks_one_blames_no_producer(bench: Bench) -> None:
    with pytest.raises(StageError, match="Nothing is published, .* places has 4 rows"):
        require_of_output(bench.connection, "places", "wells", Requirement.model_validate({"rows": {"max": 3}}))


@pytest.mark.parametrize(
    "required",
    [
        {"columns": {"name": "varchar"}},
        {"bounds": [10, 0, 0, 10]},
        {"rows": {"min": 5, "max": 1}},
        {"unique": [[]]},
        {"uniqe": [["name"]]},
    ],
)
def test_a_mistake_is_found_when_definitions_load(required: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Requirement.model_validate(required)
