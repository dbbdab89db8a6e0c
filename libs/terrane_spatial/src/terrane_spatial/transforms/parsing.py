"""Steps from what a dataset's YAML says, with every mistake named by dataset, step and parameter."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from terrane_spatial.transforms.library.cleaning import Dedupe, Repair, Require, Select
from terrane_spatial.transforms.library.combining import AggregateToGrid, Dissolve, SpatialJoin
from terrane_spatial.transforms.library.shaping import Buffer, Clip, Reproject, Simplify, Subdivide
from terrane_spatial.transforms.step import Step

LIBRARY: dict[str, type[Step]] = {
    step.kind: step
    for step in (
        Select, Require, Repair, Reproject, Dedupe, Clip, Dissolve, Simplify, Buffer, Subdivide, SpatialJoin,
        AggregateToGrid,
    )
}  # fmt: skip
SCRIPT = "sql"
SHOWN_INPUT_CHARS = 80


@dataclass(frozen=True)
class Script:
    """An SQL file of the dataset's own."""

    path: Path


class StepsError(ValueError):
    """The steps of a dataset's YAML are not what they must be."""


def parse(dataset: str, entries: Sequence[Mapping[str, Any]], folder: Path) -> tuple[Step | Script, ...]:
    """The steps, in order.

    Args:
        entries: each one key, the name of a step of LIBRARY or `sql`, with its parameters or the name of a file.
        folder: where the dataset's SQL files lie.

    Raises:
        StepsError: with a sentence for each mistake.
    """
    steps: list[Step | Script] = []
    mistakes: list[str] = []
    for number, entry in enumerate(entries, start=1):
        try:
            steps.append(_step(entry, folder))
        except ValidationError as error:
            name = next(iter(entry))
            mistakes += [f"step {number} ({name}), {_sentence(LIBRARY[name], detail)}" for detail in error.errors()]
        except ValueError as error:
            mistakes.append(f"step {number}: {error}")
    if mistakes:
        raise StepsError(f"dataset {dataset}: " + "; ".join(mistakes))
    return tuple(steps)


def check_tables(dataset: str, steps: Sequence[Step | Script], inputs: Sequence[str]) -> None:
    """Raises StepsError when a step works on a table that nothing makes, as far as can be told without reading SQL."""
    known, own_sql = set(inputs), False
    for number, step in enumerate(steps, start=1):
        if isinstance(step, Script):
            own_sql = True
            continue
        unknown = [name for name in (step.table, *step.others()) if name not in known]
        place = f"dataset {dataset}: step {number} ({step.kind})"
        if unknown and not own_sql:
            raise StepsError(
                f"{place}: there is no table {unknown[0]} yet; there are {', '.join(sorted(known))}. "
                "A table is an input, or is made by an earlier step's parameter into"
            )
        if step.into in known:
            raise StepsError(f"{place}, into: there is a table {step.into} already; name another, or leave into out")
        known |= {step.table, step.target, *step.others()}


def _step(entry: Any, folder: Path) -> Step | Script:
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise ValueError(f"expected a name with its parameters, as in `repair: {{table: ...}}`, got {_shown(entry)}")
    ((name, parameters),) = entry.items()
    if name == SCRIPT:
        return _script(parameters, folder)
    if name not in LIBRARY:
        raise ValueError(f"there is no step {name!r}; expected one of {', '.join(LIBRARY)} or {SCRIPT}")
    if not isinstance(parameters, Mapping):
        raise ValueError(f"({name}): expected parameters by name, got {_shown(parameters)}")
    return LIBRARY[name].model_validate(dict(parameters))


def _script(name: Any, folder: Path) -> Script:
    if not isinstance(name, str):
        raise ValueError(f"({SCRIPT}): expected the name of a file, got {_shown(name)}")
    if name != Path(name).name:
        raise ValueError(f"({SCRIPT}): expected the name of a file beside the YAML file, got {_shown(name)}")
    path = folder / name
    if not path.is_file():
        raise ValueError(f"({SCRIPT}): there is no file {name} in {folder}")
    return Script(path)


def _sentence(step: type[Step], detail: Any) -> str:
    """One of pydantic's findings: the parameter, what is expected, what was found."""
    parameter = ".".join(str(part) for part in detail["loc"] if isinstance(part, int) or part in _names(step))
    if detail["type"] == "missing":
        return f"{parameter}: missing, and it is required"
    if detail["type"] == "extra_forbidden":
        return f"{detail['loc'][-1]}: unknown parameter; expected only {', '.join(_names(step))}"
    message = detail["msg"].removeprefix("Value error, ")
    if not parameter:
        return message
    return f"{parameter}: {message[0].lower()}{message[1:]}, got {_shown(detail['input'])}"


def _names(step: type[Step]) -> list[str]:
    return [field.alias or name for name, field in step.model_fields.items()]


def _shown(value: Any) -> str:
    found = json.dumps(value, default=str)
    return found if len(found) <= SHOWN_INPUT_CHARS else f"{found[:SHOWN_INPUT_CHARS]}..."
