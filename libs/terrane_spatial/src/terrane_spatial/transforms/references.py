"""What a dataset's YAML refers to: tables and columns that steps make, and outputs.

Columns of an input are those of a file, so they are known from the first step on that says which there are. Own SQL is
not read: what comes after it may be there, and a table that nothing else makes has to occur in its text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from terrane_spatial.transforms.parsing import Mistake, Script, StepsError
from terrane_spatial.transforms.step import Columns, Step

OUT = "out_"


@dataclass
class _Tables:
    """The tables at a point between steps: their columns, None where they are not known."""

    columns: dict[str, Columns]
    sql: str = ""

    def may_have(self, table: str) -> bool:
        return table in self.columns or re.search(rf"\b{re.escape(table.lower())}\b", self.sql) is not None


def check_references(
    dataset: str, steps: Sequence[Step | Script], inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    """Raises StepsError with every reference to something that nothing makes."""
    tables = _Tables(dict.fromkeys(inputs, None))
    mistakes: list[Mistake] = []
    for number, step in enumerate(steps, start=1):
        if isinstance(step, Script):
            tables.sql += step.path.read_text(errors="replace").lower()
            tables.columns = dict.fromkeys(tables.columns, None)
            continue
        for parameter, sentence in _of_step(step, tables):
            place = ("steps", number - 1, step.kind, parameter)
            mistakes.append(Mistake(place, f"step {number} ({step.kind}){sentence}"))
        made = step.columns_made(tables.columns.get(step.table))
        tables.columns |= {name: tables.columns.get(name) for name in (step.table, *step.others())}
        tables.columns[step.target] = made
    mistakes += _of_outputs(outputs, tables)
    if mistakes:
        raise StepsError(dataset, mistakes)


def _of_step(step: Step, tables: _Tables) -> Iterator[tuple[str, str]]:
    """What is wrong with a step: the parameter, and a sentence."""
    for name in (step.table, *step.others()):
        if not tables.may_have(name):
            yield (
                "table" if name == step.table else "with",
                f": there is no table {name} yet; there are {', '.join(sorted(tables.columns))}. "
                "A table is an input, or is made by an earlier step's parameter into",
            )
    if step.into in tables.columns:
        yield "into", f", into: there is a table {step.into} already; name another, or leave into out"
    yield from _columns(step.columns_read(), step.table, tables)
    for name in step.others():
        yield from _columns(step.columns_read_of_other(), name, tables)


def _columns(read: Mapping[str, Sequence[str]], table: str, tables: _Tables) -> Iterator[tuple[str, str]]:
    there = tables.columns.get(table)
    for parameter, columns in read.items():
        for column in columns:
            if there is not None and column not in there:
                known = ", ".join(sorted(there))
                yield parameter, f", {parameter}: there is no column {column} in {table}; there are {known}"


def _of_outputs(outputs: Sequence[str], tables: _Tables) -> Iterator[Mistake]:
    """An output is the table `out_<name>`, or the one of its name."""
    for number, output in enumerate(outputs):
        if not tables.may_have(OUT + output) and not tables.may_have(output):
            there = ", ".join(sorted(tables.columns))
            told = f"outputs: nothing makes {output} or {OUT}{output}; there are {there}"
            yield Mistake(("outputs", number), told)
