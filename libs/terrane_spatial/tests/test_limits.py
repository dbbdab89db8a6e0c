"""A dataset's limits: from its YAML, else from variables, else as they are; and each is in the reference."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from terrane.environment import VARIABLES
from terrane_spatial import limits
from terrane_spatial.limits import Limits, from_environment

pytestmark = pytest.mark.unit

REFERENCE = Path(__file__).parents[3] / "docs" / "spatial.md"


def test_variables_come_before_what_is_here_and_yaml_before_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TERRANE_SPATIAL_RETRY_DELAY_S")
    assert from_environment() == Limits()
    monkeypatch.setenv("TERRANE_SPATIAL_RETRIES", "7")
    monkeypatch.setenv("TERRANE_SPATIAL_RETRY_DELAY_S", "0.5")
    assert (from_environment().retries, from_environment().retry_delay_s) == (7, 0.5)
    assert from_environment().changed(retries=2.0).retries == 2


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("RETRIES", "many", "has to be a number"),
        ("FILES_AT_ONCE", "0", "has to be at least 1"),
        ("RETRIES", "1.5", "number"),
    ],
)
def test_a_variable_that_is_no_limit_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, said: str
) -> None:
    monkeypatch.setenv(f"TERRANE_SPATIAL_{name}", text)
    with pytest.raises(ValueError, match=said):
        from_environment()


def test_part_of_a_file_at_once_is_no_limit() -> None:
    with pytest.raises(ValueError, match="files_at_once: has to be a whole number"):
        Limits().changed(files_at_once=1.5)


def test_every_limit_is_a_variable_of_the_table_and_in_the_reference_as_it_is() -> None:
    named = {v.name for v in VARIABLES if v.name.startswith(limits.VARIABLES)}
    assert named == {limits.VARIABLES + field.name.upper() for field in fields(Limits)}
    text = REFERENCE.read_text()
    missing = [field.name for field in fields(Limits) if f"| `{field.name}` | {field.default:g} |" not in text]
    assert missing == []
