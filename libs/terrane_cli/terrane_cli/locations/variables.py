"""Every variable that anything reads, of the platform's table and of each location's own, as a page of docs."""

from __future__ import annotations

from terrane.environment import VARIABLES, Variable
from terrane_cli.locations.description import Location
from terrane_cli.project import Project

HEAD = """\
# Environment

What differs between a laptop and a cluster is environment, never code. This page is made by `make locations`
from `libs/terrane/src/terrane/environment.py` and from `variables` in each location's `location.yaml`.

| variable | read by | meaning | secret |
|---|---|---|---|
"""


def page(project: Project, locations: dict[str, Location]) -> str:
    """The text of docs/environment.md."""
    libraries = {name: {library.name for library in project.libraries_of(name)} for name in locations}
    rows = []
    for variable in VARIABLES:
        readers = [
            name
            for name, location in locations.items()
            if variable.need in location.needs or variable.library in libraries[name]
        ]
        rows.append(_row(variable, ", ".join(filter(None, [*readers, variable.readers])) or _of_none(variable)))
    for name, location in locations.items():
        own = [Variable(each, name, said.meaning, said.secret) for each, said in location.variables.items()]
        rows += [_row(variable, name) for variable in own]
    return HEAD + "".join(rows)


def _of_none(variable: Variable) -> str:
    return f"what needs `{variable.need}`" if variable.need else f"what is made with `{variable.library}`"


def _row(variable: Variable, readers: str) -> str:
    return f"| `{variable.name}` | {readers} | {variable.meaning} | {'yes' if variable.secret else ''} |\n"
