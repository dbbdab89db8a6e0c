"""Whose an asset is: the owner and the domain of a location, which components of libraries give to what they make.

`location.yaml` names them; where it does not, both follow from the name of the location's folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dagster_shared.yaml_utils import safe_load_yaml

FILE = "location.yaml"


@dataclass(frozen=True)
class Ownership:
    """Who answers for a location's assets, as `team:maps` or an address, and which domain they are of."""

    owner: str
    domain: str

    @property
    def owners(self) -> list[str]:
        return [self.owner]

    @property
    def tags(self) -> dict[str, str]:
        return {"domain": self.domain}


def ownership(location: Path) -> Ownership:
    """The ownership of the location in that folder, which a component's context has as `project_root`."""
    file = location / FILE
    declared = (safe_load_yaml(file.read_text()) if file.is_file() else None) or {}
    return Ownership(declared.get("owner") or f"team:{location.name}", declared.get("domain") or location.name)
