"""What a location says of itself: `location.yaml`, read and checked, with file, line and reason where it is wrong."""

from __future__ import annotations

import keyword
import re
import sys
from typing import Self

import yaml
from dagster_shared.yaml_utils import try_parse_yaml_with_source_position
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from terrane import names
from terrane.environment import VARIABLES
from terrane_cli.commands import CliError
from terrane_cli.locations.words import Kind, Need, Server
from terrane_cli.project import Project

FILE = "location.yaml"
# A name is a Python package, a Service of Kubernetes and a label of an image, so it is what all of them take.
NAME = re.compile(r"[a-z][a-z0-9]{0,30}")
# What `importlib` would find instead of the location, or the location instead of.
TAKEN = {"dagster", "dbt", "feast", "terrane", "tests", "benchmarks", "samples", "workspace"}
# Schemas of the warehouse that are not one location's: a location that is made has a schema of its own name there.
SCHEMAS = {*names.SCHEMAS, "public"}


class LocationError(CliError):
    """A location can't be used, made or removed: the message has file, line and reason."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Amounts(_Part):
    """CPU and memory as Kubernetes writes them."""

    cpu: str | None = Field(None, pattern=r"^\d+m$|^\d+(\.\d+)?$")
    memory: str | None = Field(None, pattern=r"^\d+(Ki|Mi|Gi)$")


class Resources(_Part):
    """Of the code server; its runs have the same."""

    requests: Amounts = Amounts(cpu="50m", memory="384Mi")
    limits: Amounts = Amounts(cpu=None, memory="2Gi")


class OwnVariable(_Part):
    """A variable that the location alone reads.

    Attributes:
        meaning: what it is for.
        value: what it is, unless the environment that a laptop's platform is started in says otherwise.
        secret: on a cluster it is in the location's own Secret, on a laptop in that environment.
    """

    meaning: str = Field(min_length=1)
    value: str | None = None
    secret: bool = False

    @model_validator(mode="after")
    def _given_once(self) -> Self:
        if self.secret == (self.value is not None):
            raise ValueError("it has either a value or `secret: true`")
        return self


class Location(_Part):
    """A location as its `location.yaml` describes it.

    Attributes:
        kind: its library.
        owner: who answers for its assets, as `team:maps` or an address; `team:<name>` where none is named.
        domain: the tag of its assets; its name where none is named.
        needs: what it is given, and nothing else.
        database: the server of a database of its own, which nobody else reaches; none without.
        variables: what it alone reads from its environment.
        folders: folders of the checkout that its image holds beside it; each with the patterns of what is synced while
            developing on a cluster.
        python_elsewhere: files and folders of Python elsewhere in the checkout that run in its environment.
        system_packages: Debian's packages that its wheels take for granted.
        resources: of its code server and its runs.
        feature_server: whether the platform's feature server is made of its image. One location at most.
        image_mb: the most that its image may add to the base image.
    """

    kind: Kind
    owner: str | None = Field(None, pattern=r"^(team:[\w.-]+|[^@\s]+@[^@\s]+)$")
    domain: str | None = Field(None, pattern=r"^[A-Za-z0-9_.-]{1,63}$")
    needs: tuple[Need, ...] = ()
    database: Server | None = None
    variables: dict[str, OwnVariable] = {}
    folders: dict[str, tuple[str, ...]] = {}
    python_elsewhere: tuple[str, ...] = ()
    system_packages: tuple[str, ...] = ()
    resources: Resources = Resources()
    feature_server: bool = False
    image_mb: int = Field(700, gt=0)

    @field_validator("needs", "system_packages")
    @classmethod
    def _once(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        if twice := sorted({word for word in words if words.count(word) > 1}):
            raise ValueError(f"{', '.join(twice)} is named twice")
        return words

    @field_validator("system_packages")
    @classmethod
    def _packages(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [name for name in names if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name)]:
            raise ValueError(f"{', '.join(wrong)} is no name of a package of Debian")
        return names

    @field_validator("variables")
    @classmethod
    def _variables(cls, variables: dict[str, OwnVariable]) -> dict[str, OwnVariable]:
        if wrong := [name for name in variables if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name)]:
            raise ValueError(f"{', '.join(wrong)} is no name of a variable: capital letters, digits and _")
        if taken := sorted({variable.name for variable in VARIABLES} & variables.keys()):
            raise ValueError(f"{', '.join(taken)} is the platform's: docs/environment.md says what it is")
        return variables

    @field_validator("folders")
    @classmethod
    def _folders(cls, folders: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        wrong = [name for name in folders if not re.fullmatch(r"[a-z_][a-z0-9_]*(/[a-z_][a-z0-9_]*)*", name)]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} is no folder below the checkout's root")
        return folders


def check_name(name: str) -> None:
    """Raises LocationError for a name that no location can have."""
    if not NAME.fullmatch(name):
        raise LocationError(
            f"a location's name is up to 31 lower-case letters and digits, first a letter: not {name!r}"
        )
    if keyword.iskeyword(name) or name in sys.stdlib_module_names | TAKEN or name.startswith("terrane"):
        raise LocationError(f"a location can't be called {name}: Python would import something else by that name")
    if name in SCHEMAS:
        raise LocationError(f"a location can't be called {name}: the warehouse has a schema of that name")


def read_location(project: Project, name: str) -> Location:
    """What a location says of itself.

    Raises LocationError, with file, line and reason.
    """
    file = project.location_folder(name) / FILE
    shown = str(file.relative_to(project.root))
    try:
        read = try_parse_yaml_with_source_position(file.read_text(), shown)
    except FileNotFoundError:
        raise LocationError(f"{shown} is missing: it says what the platform must know of {name}") from None
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise LocationError(f"{shown}:{line}: {getattr(problem, 'problem', problem)}") from None
    if read is None or not isinstance(read.value, dict):
        raise LocationError(f"{shown}:1: it is no mapping of names to values")
    try:
        location = Location.model_validate(read.value)
    except ValidationError as problem:
        reasons = [(error["loc"], f"{'.'.join(map(str, error['loc']))}: {error['msg']}") for error in problem.errors()]
    else:
        named = {("folders", name): name for name in location.folders}
        named |= {("python_elsewhere", place): name for place, name in enumerate(location.python_elsewhere)}
        missing = {path: name for path, name in named.items() if not (project.root / name).exists()}
        reasons = [(path, f"there is no {name} in the checkout") for path, name in missing.items()]
        if not reasons:
            return location
    # A position is told as file and line.
    place = read.source_position_tree.lookup_closest_and_path
    raise LocationError("\n".join(f"{place(path, None)[0]}: {reason}" for path, reason in reasons))


def read_locations(project: Project) -> tuple[dict[str, Location], list[str]]:
    """The locations of the checkout that are as they should be, by name, and what is wrong with each of the others."""
    found, wrong = {}, []
    for name in project.locations:
        try:
            check_name(name)
            found[name] = read_location(project, name)
        except LocationError as problem:
            wrong.append(str(problem))
    serving = [name for name, location in found.items() if location.feature_server]
    if len(serving) > 1:
        wrong.append(f"one location alone can say feature_server: {', '.join(serving)} do")
    return found, wrong
