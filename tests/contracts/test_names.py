"""What a store knows the platform by is named in terrane.names alone: a literal would be one environment's in all."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
import yaml

from terrane import names
from terrane_cli.project import Project

pytestmark = pytest.mark.unit

# Databases are part of an address, and `warehouse` and `dagster` are words of much else.
NAMES = {*names.SCHEMAS, *names.BUCKETS, names.SPATIAL_COMPUTE, names.SPATIAL_ETL}
# Where names are made, and where the table of variables says what they are.
HOMES = {"libs/terrane/src/terrane/names.py", "libs/terrane/src/terrane/environment.py"}
# Where a word is no name of a store: keys of assets are the same in every environment, kinds are pictures in the UI,
# and resources are found by their keys.
KEYWORDS = {"key", "key_prefix", "kinds", "group_name"}
CALLS = {"AssetKey", "version", "find_spec", "import_module"}
ALLOWED = {
    ("libs/terrane_features/src/terrane_features/feast_internals.py", "feast"): "the Python package",
    ("libs/terrane_features/src/terrane_features/components/lineage.py", "feast"): "the pool of one Dagster",
    ("libs/terrane_spatial/src/terrane_spatial/runs/ops.py", "ledger"): "the key of a resource",
    ("libs/terrane_cli/terrane_cli/locations/description.py", "feast"): "a name that no location may have",
}
_SCHEMA = "|".join(names.SCHEMAS)
_STATEMENT = re.compile(
    r"\b(select|insert|update|delete|create|alter|copy|truncate|drop|set|to_regclass)\b", re.IGNORECASE
)
_IN_STATEMENT = re.compile(
    rf"(?<![{{\w])(?:{_SCHEMA})\.[\"a-z_]"
    rf"|\bschema (?:if (?:not )?exists )?(?:{_SCHEMA})\b"
    rf"|search_path\s*(?:=|to|,)\s*'?(?:{_SCHEMA})\b",
    re.IGNORECASE,
)
_BUCKET = re.compile(rf"(?<![\w-])(?:{'|'.join(names.BUCKETS)})(?![\w-])")


def test_no_name_of_a_store_is_written_anywhere_else(project: Project) -> None:
    found = {
        f"{path}:{line}: {text!r}"
        for path in _modules(project)
        for line, text in literals((project.root / path).read_text())
        if (path, text) not in ALLOWED
    }
    assert found == set()


def test_every_exception_is_still_one(project: Project) -> None:
    for path, text in ALLOWED:
        assert text in {literal for _, literal in literals((project.root / path).read_text())}, (path, text)


@pytest.mark.parametrize(
    "source",
    [
        'schema = "raw"',
        'bucket("data-lake")',
        'x = f"wrote {n} objects to landing-zone/{key}"',
        'sql = "select 1 from gold.scores"',
        'sql = f"insert into feast.online_views ({columns}) values (1)"',
        "sql = \"select to_regclass('ledger.changes')\"",
        'sql = b"set local search_path = feast"',
        'sql = "create schema if not exists raw"',
        'db = "spatial_etl"',
    ],
)
def test_a_literal_is_found(source: str) -> None:
    assert list(literals(source))


@pytest.mark.parametrize(
    "source",
    [
        '"""Makes gold.scores from raw.users."""',
        'asset(key=["raw", table], kinds={"feast"})',
        'AssetKey(["gold", "scores"])',
        'sql = "select 1 from {gold}.scores"',
        'sql = f"select 1 from {schema}.scores"',
        'message = "gold is as it was"',
        "names.GOLD",
        'somebody_elses = "example-data-lake"',
        'Definitions(resources={"ledger": LedgerResource.from_env("POSTGRES")})',
    ],
)
def test_what_is_no_name_is_left(source: str) -> None:
    assert list(literals(source)) == []


def test_plain_projects_name_their_schemas_by_environment(project: Project) -> None:
    """dbt and Feast work with their own command lines, and end names themselves, in the way of terrane.names."""
    plain = [project.root / folder for folder in ("dbt", "feast_repo", "libs")]
    plain += [project.location_folder(name) for name in project.locations]
    files = [file for folder in plain for file in folder.rglob("*") if not {".venv", "target"} & set(file.parts)]
    dbt = [file for file in files if file.suffix == ".yml" and "\nsources:" in file.read_text()]
    schemas = [s["schema"] for path in dbt for s in yaml.safe_load(path.read_text())["sources"]]
    assert schemas
    end = "{{ '__' ~ env_var('TERRANE_ENVIRONMENT') if env_var('TERRANE_ENVIRONMENT', '') else '' }}"
    assert [schema for schema in schemas if not schema.endswith(end)] == []
    macros = {file.read_text() for file in files if file.name.startswith("generate_schema_name.sql")}
    assert ["env_var('TERRANE_ENVIRONMENT', '')" in macro for macro in macros] == [True]
    # In a template for a new location, a dollar is written twice.
    texts = [file.read_text().replace("$$", "$") for file in files if file.name.startswith("feature_store.yaml")]
    stores = [yaml.safe_load(text) for text in texts]
    assert stores
    for store in stores:
        assert store["project"].endswith("${TERRANE_SUFFIX}")
        assert store["offline_store"]["db_schema"].endswith("${TERRANE_SUFFIX}")
        assert "search_path%3Dfeast${TERRANE_SUFFIX}&" in store["registry"]["path"]


def literals(source: str) -> Iterator[tuple[int, str]]:
    """Lines and texts of the source that name something in a store."""
    tree = ast.parse(source)
    passed = set(_passed_over(tree))
    for node in ast.walk(tree):
        if id(node) in passed:
            continue
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            text = node.value if isinstance(node.value, str) else node.value.decode(errors="replace")
        else:
            continue
        if text in NAMES or _BUCKET.search(text) or (_STATEMENT.search(text) and _IN_STATEMENT.search(text)):
            yield node.lineno, text


def _passed_over(tree: ast.AST) -> Iterator[int]:
    """The nodes of docstrings, of keys of assets, and the parts of a text in braces, which is looked at as a whole."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield id(node.value)
        elif isinstance(node, ast.JoinedStr):
            yield from (id(part) for part in node.values)
        elif isinstance(node, ast.keyword) and node.arg == "resources" and isinstance(node.value, ast.Dict):
            yield from (id(key) for key in node.value.keys)
        elif isinstance(node, ast.keyword) and node.arg in KEYWORDS:
            yield from (id(inner) for inner in ast.walk(node.value))
        elif isinstance(node, ast.Call) and _called(node) in CALLS:
            yield from (id(inner) for argument in node.args for inner in ast.walk(argument))


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _modules(project: Project) -> list[str]:
    """Every module that runs in production or starts it; tests and benchmarks say what they expect."""
    folders = [project.root / "libs", *(project.location_folder(name) / "src" for name in project.locations)]
    files = [file for folder in folders for file in folder.rglob("*.py")]
    paths = [
        file.relative_to(project.root) for file in files if "tests" not in file.parts and ".venv" not in file.parts
    ]
    return sorted(str(path) for path in paths if str(path) not in HOMES)
