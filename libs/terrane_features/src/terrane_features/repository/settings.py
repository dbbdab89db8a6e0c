"""feature_store.yaml as Feast reads it: `${NAME}` and `$NAME` replaced from the environment.

What ends the names of Feast's project and schemas, TERRANE_SUFFIX, follows TERRANE_ENVIRONMENT where nobody sets it.
Feast has no value for a variable that is not set; here those that say how a store is encrypted have one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from terrane import names
from terrane_features.repository.model import RepositoryError

SETTINGS = "feature_store.yaml"
# What nobody has to set: the variables, and what libpq's own variable for it is. Redis' values are JSON.
OPTIONAL = {
    "WAREHOUSE_SSLMODE": ("PGSSLMODE", "prefer"),
    "WAREHOUSE_SSLROOTCERT": ("PGSSLROOTCERT", ""),
    "REDIS_USERNAME": ("", ""),
    "REDIS_TLS": ("", "false"),
    "REDIS_CA_FILE": ("", "null"),
}
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def read_settings(
    folder: Path, variables: Mapping[str, str] | None = None, *, part: str = "", complete: bool = True
) -> dict[str, Any]:
    """The file's content.

    Args:
        variables: in the place of the process's environment.
        part: the one section that has to be complete; without it all of the file.
        complete: whether a variable that is not set is refused; otherwise its name stays, as with Feast.

    Raises RepositoryError without the file, when variables that it names are not set, or TERRANE_SUFFIX is that of
    another environment.
    """
    environment = os.environ if variables is None else variables
    given = {**_optional(environment), **environment}
    try:
        names.export(given)
    except names.BadName as error:
        raise RepositoryError(str(error)) from error
    text = _text(folder)
    needed = yaml.safe_dump(yaml.safe_load(text).get(part)) if part else text
    named = {braced for braced, _ in _VARIABLE.findall(needed) if braced}
    if missing := sorted(name for name in named if complete and name not in given):
        raise RepositoryError(
            f"{folder / SETTINGS} names {', '.join(missing)}, which the environment lacks: set them and retry"
        )
    return yaml.safe_load(_VARIABLE.sub(lambda found: given.get(found[1] or found[2], found[0]), text))


def export_optional() -> None:
    """Sets the variables that nobody has to set, for Feast, which reads feature_store.yaml itself."""
    for name, value in _optional(os.environ).items():
        os.environ.setdefault(name, value)


def section(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A store's settings; Feast takes a text alone for its type, and a registry's for its path."""
    found = content.get(name)
    return found if isinstance(found, dict) else {"type": found, "path": found}


def _optional(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: environment.get(instead) or value for name, (instead, value) in OPTIONAL.items()}


def _text(folder: Path) -> str:
    """The file without its comments, whose variables nobody has to set."""
    file = folder / SETTINGS
    if not file.exists():
        raise RepositoryError(f"{file} does not exist: set FEAST_REPO_PATH to the folder that holds it")
    return "\n".join(line for line in file.read_text().splitlines() if not line.lstrip().startswith("#"))
