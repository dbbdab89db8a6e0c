"""Mistakes in a dataset's YAML, found when definitions load: each with its field, and the first with file and line."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from terrane_spatial.identifiers import launder
from terrane_spatial.intake.manifest import DATASET
from terrane_spatial.transforms.parsing import Script
from terrane_spatial.transforms.requirements import Requirement
from terrane_spatial.transforms.step import Step

YAML = "defs.yaml"
OUT = "out_"
LONGEST_OUTPUT = 63 - len(OUT)


class DeclarationError(ValueError):
    """A dataset is declared with mistakes; the message has the file, the line of the first, and all of them."""


def refuse(folder: Path, dataset: str, mistakes: Mapping[str, str]) -> None:
    """Raises DeclarationError when there are mistakes, which are sentences by field."""
    if mistakes:
        told = "; ".join(f"{field}: {sentence}" for field, sentence in mistakes.items())
        raise DeclarationError(f"{_place(folder, next(iter(mistakes)))}: dataset {dataset}: {told}")


def of_dataset(name: str) -> dict[str, str]:
    if DATASET.match(name):
        return {}
    return {"dataset": f"{name!r} is no name of a dataset: at most 63 letters a-z, digits or '_', a letter first"}


def of_tables(inputs: Sequence[str], outputs: Sequence[str], row_count: str) -> dict[str, str]:
    """Mistakes in the names of tables and in which of them counts as the asset's rows."""
    mistakes = {}
    for field, names in (("inputs", inputs), ("outputs", outputs)):
        odd = [name for name in names if not name or launder(name, "t") != name or name.startswith("_")]
        twice = sorted({name for name in names if names.count(name) > 1})
        if not names:
            mistakes[field] = "empty; a dataset needs at least one"
        elif odd:
            mistakes[field] = (
                f"{', '.join(map(repr, odd))}: a table's name is small letters, digits and '_', begins with a letter"
            )
        elif twice:
            mistakes[field] = f"{', '.join(twice)} more than once"
    if long := [name for name in outputs if len(name) > LONGEST_OUTPUT]:
        mistakes["outputs"] = f"{', '.join(long)} is longer than {LONGEST_OUTPUT} characters"
    if row_count not in outputs:
        mistakes["row_count"] = f"{row_count!r} is none of the outputs {', '.join(outputs)}"
    return mistakes


def of_preview(
    drawn: Sequence[str | None], inputs: Sequence[str], outputs: Sequence[str], steps: Sequence[Step | Script]
) -> dict[str, str]:
    """A table that is drawn is an output's, an input, or what a step makes; what SQL makes is known when it runs."""
    made = {step.into for step in steps if isinstance(step, Step) and step.into}
    known = {*inputs, *outputs, *made, *(OUT + name for name in outputs)}
    by_sql = any(isinstance(step, Script) for step in steps)
    wrong = [name for name in drawn if name is not None and name not in known and (name.startswith(OUT) or not by_sql)]
    if not wrong:
        return {}
    there = ", ".join(sorted(known))
    return {"preview": f"there is no table {', '.join(wrong)}; there are {there}"}


def parsed_requirements(
    required: Mapping[str, Any], tables: Collection[str]
) -> tuple[dict[str, Requirement], dict[str, str]]:
    """What is required of each table, and the mistakes in that."""
    made, wrong = {}, []
    for table, told in required.items():
        try:
            made[table] = Requirement.model_validate(told)
        except ValidationError as error:
            wrong += [f"{'.'.join(map(str, (table, *e['loc'])))}: {e['msg']}" for e in error.errors()]
        if table not in tables:
            wrong.append(f"there is no table {table}; there are {', '.join(sorted(tables))}")
    return made, {"require": "; ".join(wrong)} if wrong else {}


def of_freshness(fail_hours: float | None, warn_hours: float | None, reason: str | None) -> dict[str, str]:
    if fail_hours is None and not (reason and reason.strip()):
        return {"freshness": "say after how many hours it fails (fail_hours), or the reason why it never does (reason)"}
    if fail_hours is not None and reason:
        return {"freshness": "has both fail_hours and reason; it has one of them"}
    if fail_hours is None and warn_hours is not None:
        return {"freshness": "warn_hours goes with fail_hours"}
    if fail_hours is not None and (fail_hours <= 0 or not 0 < (warn_hours or fail_hours) <= fail_hours):
        return {"freshness": "fail_hours has to be above 0, and warn_hours between 0 and it"}
    return {}


def _place(folder: Path, field: str) -> str:
    """The file, and the line on which the field is; that of the first line where it is not."""
    file = folder / YAML
    if not file.is_file():
        return str(folder)
    lines = file.read_text().splitlines()
    found = (number for number, line in enumerate(lines, 1) if re.match(rf"\s*{field}:", line))
    return f"{file}:{next(found, 1)}"
