"""Every name that the stores know the platform by, from `TERRANE_ENVIRONMENT`.

Environments (dev, staging, a second region, a developer's own) may share a database, an object store and a Redis: the
environment ends each name, behind two separators, which no name has in a row of its own. So no name of one environment
is one of another, and of Feast's projects, whose keys Feast looks for in Redis by their end, none ends as another does.
Without an environment, names are what they are here. Asset keys are the same in every environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

VARIABLE = "TERRANE_ENVIRONMENT"
# For Feast, which puts variables into feature_store.yaml as they are.
SUFFIX_VARIABLE = "TERRANE_SUFFIX"
# Which automation runs by itself there: terrane.automation.by_environment.
AUTOMATION_VARIABLE = "TERRANE_AUTOMATION"

# Databases, each of which a role of its name owns, but for the two of PostGIS, which are one role's.
DAGSTER, WAREHOUSE = "dagster", "warehouse"
SPATIAL_COMPUTE, SPATIAL_ETL = "spatial_compute", "spatial_etl"
SPATIAL = "spatial"
# Schemas of the warehouse; of these, `staging` is dbt's layer and no environment.
RAW, STAGING, INTERMEDIATE, GOLD, FEAST = "raw", "staging", "intermediate", "gold", "feast"
# The schema of the batch ledger, and what the schema of a run begins with, in PostGIS.
LEDGER, RUN = "ledger", "run_"
SCHEMAS = (RAW, STAGING, INTERMEDIATE, GOLD, FEAST, LEDGER)
LANDING_ZONE, DATA_LAKE, COMPUTE_LOGS = "landing-zone", "data-lake", "compute-logs"
BUCKETS = (LANDING_ZONE, DATA_LAKE, COMPUTE_LOGS)

# Postgres cuts longer identifiers off without a word, S3 refuses longer buckets.
LONGEST = 63
# The schema of a run is the longest name: 40 characters and two separators leave 21.
LONGEST_ENVIRONMENT = 16
_ENVIRONMENT = re.compile(rf"[a-z][a-z0-9]{{0,{LONGEST_ENVIRONMENT - 1}}}")
_RUN_ID = re.compile(r"[0-9a-zA-Z]+(?:-[0-9a-zA-Z]+)*")
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]*")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]*[a-z0-9]")
_PLACE = re.compile(r"\{(\w+)\}")


class BadName(ValueError):
    """The name of an environment, or one within it, that some store would not take as it is."""


@dataclass(frozen=True)
class Names:
    """The names of one environment; empty is the one without a name. Raises BadName for one that no name can end in."""

    environment: str = ""

    def __post_init__(self) -> None:
        if self.environment and not _ENVIRONMENT.fullmatch(self.environment):
            raise BadName(
                f"{VARIABLE} is {self.environment!r}: an environment's name is at most {LONGEST_ENVIRONMENT} small "
                "letters and digits and begins with a letter, since databases, schemas and buckets end in it; leave it "
                "empty for names without one"
            )

    @property
    def suffix(self) -> str:
        """What ends the names of Postgres and Feast."""
        return self._scoped("", "_")

    def schema(self, base: str) -> str:
        """A schema of Postgres, ours or one that dbt makes. Raises BadName."""
        return self._identifier(base, "schema")

    def database(self, base: str) -> str:
        """A database of Postgres, where the environment has its own. Raises BadName."""
        return self._identifier(base, "database")

    def feast_project(self, base: str) -> str:
        """A project of Feast's: the rows of its registry, and the end of its keys in Redis. Raises BadName."""
        return self._identifier(base, "project of Feast's")

    def bucket(self, base: str) -> str:
        """A bucket of the object store. Raises BadName."""
        name = self._scoped(base, "-")
        if "--" in base or not _BUCKET.fullmatch(base) or not 3 <= len(name) <= LONGEST:
            raise BadName(
                f"{name!r} is no bucket: it has 3 to {LONGEST} small letters, digits, dots and hyphens, no two hyphens "
                "in a row but before the environment, and begins and ends with a letter or a digit"
            )
        return name

    def lock(self, text: str) -> str:
        """The text of an advisory lock, which is one of its database: two environments may share that."""
        return f"{text}{self._scoped('', '_')}"

    def run_schema(self, run_id: str) -> str:
        """The schema that a run has for itself. Raises BadName."""
        if not _RUN_ID.fullmatch(run_id):
            raise BadName(f"{run_id!r} is no id of a run: letters and digits, with single hyphens between them")
        name = self._scoped(RUN + run_id.replace("-", "_"), "_")
        if len(name) > LONGEST:
            raise BadName(
                f"the schema {name} of a run would be longer than the {LONGEST} characters that Postgres keeps"
            )
        return name

    def run_of(self, schema: str) -> str | None:
        """The run whose schema this is; None for any other schema, another environment's among them."""
        if not schema.startswith(RUN) or not schema.endswith(self.suffix):
            return None
        run_id = schema[len(RUN) : len(schema) - len(self.suffix)].replace("_", "-")
        return run_id if _RUN_ID.fullmatch(run_id) and self.run_schema(run_id) == schema else None

    def base_of(self, schema: str) -> str | None:
        """What the schema is called without the environment, as in asset keys; None for another environment's."""
        base = schema.removesuffix(self.suffix)
        return base if "__" not in base and base + self.suffix == schema else None

    def sql(self, statement: str) -> bytes:
        """The statement with each `{raw}`, `{gold}`, `{feast}`, ... replaced by that schema; other braces stay."""
        return _PLACE.sub(lambda found: self.schema(found[1]) if found[1] in SCHEMAS else found[0], statement).encode()

    def _identifier(self, base: str, kind: str) -> str:
        name = self._scoped(base, "_")
        if "__" in base or not _IDENTIFIER.fullmatch(base) or len(name) > LONGEST:
            raise BadName(
                f"{name!r} is no {kind}: it has at most {LONGEST} small letters, digits and underscores, no two "
                "underscores in a row but before the environment, and begins with no digit"
            )
        return name

    def _scoped(self, base: str, separator: str) -> str:
        """The rule: the environment ends the name, behind two separators."""
        return f"{base}{separator * 2}{self.environment}" if self.environment else base


def current(variables: Mapping[str, str] = os.environ) -> Names:
    """The names of the environment that the process runs in. Raises BadName."""
    return Names(variables.get(VARIABLE, ""))


def export(variables: MutableMapping[str, str] = os.environ) -> None:
    """Sets the variable with what ends the names, for what reads variables and not this module.

    Raises BadName when it is set and says another environment.
    """
    suffix = current(variables).suffix
    if variables.setdefault(SUFFIX_VARIABLE, suffix) != suffix:
        raise BadName(
            f"{SUFFIX_VARIABLE} is {variables[SUFFIX_VARIABLE]!r}, and names end in {suffix!r} as {VARIABLE} has it: "
            f"unset {SUFFIX_VARIABLE}, which follows {VARIABLE} by itself"
        )
