"""Steps from what a dataset's YAML says, with every mistake named by dataset, step and parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from terrane_spatial.errors import shown
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


@dataclass(frozen=True)
class Script:
    """An SQL file of the dataset's own."""

    path: Path


@dataclass(frozen=True)
class Mistake:
    """What is wrong, in a sentence, and where: names and numbers from the component's attributes inwards."""

    place: tuple[str | int, ...]
    sentence: str


class StepsError(ValueError):
    """A dataset's YAML is not what it must be: steps, or what refers to them."""

    def __init__(self, dataset: str, mistakes: Sequence[Mistake]):
        super().__init__(f"dataset {dataset}: " + "; ".join(mistake.sentence for mistake in mistakes))
        self.mistakes = tuple(mistakes)


def parse(dataset: str, entries: Sequence[Mapping[str, Any]], folder: Path) -> tuple[Step | Script, ...]:
    """The steps, in order.

    Args:
        entries: each one key, the name of a step of LIBRARY or `sql`, with its parameters or the name of a file.
        folder: where the dataset's SQL files lie.

    Raises:
        StepsError: with a sentence for each mistake.
    """
    steps: list[Step | Script] = []
    mistakes: list[Mistake] = []
    for number, entry in enumerate(entries, start=1):
        try:
            steps.append(_step(entry, folder))
        except ValidationError as error:
            name = next(iter(entry))
            for detail in error.errors():
                told = f"step {number} ({name}), {_sentence(LIBRARY[name], detail)}"
                mistakes.append(Mistake(("steps", number - 1, name, *detail["loc"]), told))
        except ValueError as error:
            mistakes.append(Mistake(("steps", number - 1), f"step {number}: {error}"))
    if mistakes:
        raise StepsError(dataset, mistakes)
    return tuple(steps)


def _step(entry: Any, folder: Path) -> Step | Script:
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise ValueError(f"expected a name with its parameters, as in `repair: {{table: ...}}`, got {shown(entry)}")
    ((name, parameters),) = entry.items()
    if name == SCRIPT:
        return _script(parameters, folder)
    if name not in LIBRARY:
        raise ValueError(f"there is no step {name!r}; expected one of {', '.join(LIBRARY)} or {SCRIPT}")
    if not isinstance(parameters, Mapping):
        raise ValueError(f"({name}): expected parameters by name, got {shown(parameters)}")
    return LIBRARY[name].model_validate(dict(parameters))


def _script(name: Any, folder: Path) -> Script:
    if not isinstance(name, str):
        raise ValueError(f"({SCRIPT}): expected the name of a file, got {shown(name)}")
    if name != Path(name).name:
        raise ValueError(f"({SCRIPT}): expected the name of a file beside the YAML file, got {shown(name)}")
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
    return f"{parameter}: {message[0].lower()}{message[1:]}, got {shown(detail['input'])}"


def _names(step: type[Step]) -> list[str]:
    return [field.alias or name for name, field in step.model_fields.items()]
