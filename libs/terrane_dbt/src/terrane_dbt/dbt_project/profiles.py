"""Which profile a project is run with: one that is written for it, or the warehouse's, under the name it asks for.

A project that comes from elsewhere names a profile that lies in its author's home. It is given the warehouse by that
name, so that nothing of it has to be changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path

from terrane.names import VARIABLE as ENVIRONMENT
from terrane_dbt.dbt_project.scratch import own_folder

PROJECT, PROFILES = "dbt_project.yml", "profiles.yml"
FOLDER = "DBT_PROFILES_DIR"
PROFILE_LINE = re.compile(r"^profile:\s*[\"']?([\w.-]+)", re.MULTILINE)
NAME_LINE = re.compile(r"^name:\s*[\"']?(\w+)", re.MULTILINE)
# Of dbt's Jinja: an environment's schemas end as all its others do.
END_OF_SCHEMA = f"{{{{ '__' ~ env_var('{ENVIRONMENT}') if env_var('{ENVIRONMENT}', '') else '' }}}}"


def target_schema(project: Path, schema: str | None = None) -> str:
    """The schema of the profile that is written for the project."""
    return schema or _found(NAME_LINE, project / PROJECT) or "public"


def profiles_folder(project: Path, schema: str | None = None) -> Path:
    """The folder of the `profiles.yml` that the project is run with.

    DBT_PROFILES_DIR, where that has the project's profile, then the project's own folder; else, and whenever a schema
    is asked for, a folder in which the project's profile is the warehouse.

    Args:
        schema: of the target, in which what names no schema is built; by default the project's name.
    """
    named = os.environ.get(FOLDER)
    declared = _found(PROFILE_LINE, project / PROJECT)
    if schema is None:
        for folder in ([Path(named)] if named else []) + [project]:
            if declared and _has(folder / PROFILES, declared):
                return folder
    return _written(declared or "terrane", target_schema(project, schema))


def _has(profiles: Path, name: str) -> bool:
    # What a profile holds is dbt's to read: it is Jinja, in which names of profiles stand alone.
    return profiles.is_file() and bool(
        re.search(rf"^[\"']?{re.escape(name)}[\"']?:", profiles.read_text(), re.MULTILINE)
    )


def _found(line: re.Pattern[str], file: Path) -> str | None:
    found = line.search(file.read_text()) if file.is_file() else None
    return found[1] if found else None


def _written(profile: str, schema: str) -> Path:
    """A folder of that profile, made once; it names variables and holds no password."""
    # JSON is YAML.
    text = json.dumps({profile: {"target": "warehouse", "outputs": {"warehouse": _warehouse(schema)}}}, indent=2)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    folder = own_folder(f"profiles-{digest}")
    file = folder / PROFILES
    if not file.is_file() or file.read_text() != text:
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as written:
            written.write(text)
        Path(written.name).replace(file)
    return folder


def _warehouse(schema: str) -> dict[str, str | int]:
    """The warehouse of `WAREHOUSE_*`, as dbt's adapter for Postgres wants it."""

    def variable(name: str, otherwise: str | None = None) -> str:
        return f"{{{{ env_var('{name}'{'' if otherwise is None else f', {otherwise!r}'}) }}}}"

    return {
        "type": "postgres",
        "host": variable("WAREHOUSE_HOST"),
        "port": variable("WAREHOUSE_PORT").replace(" }}", " | as_number }}"),
        "user": variable("WAREHOUSE_USER"),
        "password": variable("WAREHOUSE_PASSWORD"),
        "dbname": variable("WAREHOUSE_DB"),
        "schema": f"{schema}{END_OF_SCHEMA}",
        "threads": 4,
        "sslmode": variable("WAREHOUSE_SSLMODE", ""),
        "sslrootcert": variable("WAREHOUSE_SSLROOTCERT", ""),
        "connect_timeout": 5,
        # By which sessions of a dbt that was killed are found and ended.
        "application_name": variable("TERRANE_DBT_SESSION", "dbt"),
        "retries": 1,
    }
