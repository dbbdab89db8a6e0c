"""Feast repositories made at random from a number: files in every layout that Feast takes, and the tables they name."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

NOW = datetime.now(UTC).replace(microsecond=0)
ROWS, ENTITIES = 14, 9
# Feast's type, the column's type, and a value for a number.
TYPES: dict[str, tuple[str, Any]] = {
    "Int64": ("bigint", lambda n: n * 10**9),
    "Int32": ("integer", lambda n: -n),
    "Float64": ("double precision", lambda n: n / 7),
    "Float32": ("real", lambda n: n / 4),
    "String": ("text", lambda n: f"Größe '{n}' \" \\"),
    "Bool": ("boolean", lambda n: n % 2 == 0),
    "UnixTimestamp": ("timestamptz", lambda n: NOW - timedelta(hours=n)),
    "Bytes": ("bytea", lambda n: bytes(range(n % 5))),
    "Array(Int64)": ("bigint[]", lambda n: [n, -n][: n % 3]),
    "Array(String)": ("text[]", lambda n: ["", "ü", str(n)][: n % 4]),
    "Array(Float64)": ("double precision[]", lambda n: [n / 3]),
}
POSTGRES = "feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source"
KEY_TYPES = {"INT64": ("Int64", "bigint"), "STRING": ("String", "text"), "INT32": ("Int32", "integer")}


@dataclass
class Entity:
    variable: str
    name: str
    key: str
    kind: str
    declares_type: bool

    def value(self, n: int) -> Any:
        return f"k{n}" if self.kind == "STRING" else n


@dataclass
class View:
    name: str
    entities: list[Entity]
    features: dict[str, str]
    table: str
    online: bool


@dataclass
class Generated:
    """What was made.

    Attributes:
        sql: makes and fills the tables.
        variables: what the environment has to hold.
    """

    project: str
    files: dict[str, str]
    views: list[View]
    services: list[str]
    sql: list[tuple[str, list[Any] | None]] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path, settings: str) -> None:
        """Writes the files; `settings` is what feature_store.yaml says beside the project."""
        named = f"project: {self.files['project']}\n{settings}"
        for name, text in {**self.files, "feature_store.yaml": named}.items():
            if name != "project":
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text)


def generate(seed: int) -> Generated:
    """The repository of a number."""
    draw = random.Random(seed)
    entities = [_entity(draw, seed, n) for n in range(draw.randint(1, 3))]
    views = [_view(draw, seed, n, entities) for n in range(draw.randint(1, 4))]
    made = Generated(f"p{seed}", {}, views, [])
    by_variable = draw.random() < 0.2
    made.files["project"] = f"p${{SUFFIX_{seed}}}" if by_variable else made.project
    if by_variable:
        made.variables[f"SUFFIX_{seed}"] = str(seed)
    packaged = draw.random() < 0.3
    prefix, module = ("team/", "team.") if packaged else ("", "")
    if packaged:
        made.files["team/__init__.py"] = ""
    made.files[f"{prefix}entities.py"] = _entities_file(draw, entities)
    for n, part in enumerate(_split(draw, views)):
        made.files[f"{prefix}views_{n}.py"] = _views_file(draw, seed, made, part, f"{module}entities")
    if draw.random() < 0.7:
        made.files[f"{prefix}services.py"] = _services_file(draw, made, module)
    if draw.random() < 0.2:
        made.files["scratch.py"] = "this is no Python"
        made.files[".feastignore"] = "scratch.py\n"
    return made


def _entity(draw: random.Random, seed: int, n: int) -> Entity:
    key = draw.choice([f"key_{n}", f"Key{n}", f"k{n}"])
    name = draw.choice([key, f"entity_{n}", f"an entity {n}"])
    return Entity(f"entity_{n}", name, key, draw.choice([*KEY_TYPES]), draw.random() < 0.6)


def _view(draw: random.Random, seed: int, n: int, entities: Sequence[Entity]) -> View:
    chosen = draw.sample(entities, draw.randint(1, min(2, len(entities))))
    features = {
        f"f{i}_{kind.strip(')').replace('(', '_').lower()}": kind
        for i, kind in enumerate(draw.choices([*TYPES], k=draw.randint(1, 5)))
    }
    table = draw.choice([f"t_{seed}_{n}", f'"T {seed} {n}"'])
    return View(f"view_{n}" if draw.random() < 0.8 else f"View{n}", chosen, features, table, draw.random() < 0.9)


def _entities_file(draw: random.Random, entities: Sequence[Entity]) -> str:
    style = draw.choice(["from feast import Entity, ValueType", "import feast"])
    at = "" if "from" in style else "feast."
    lines = [style, ""]
    for entity in entities:
        typed = f", value_type={at}ValueType.{entity.kind}" if entity.declares_type else ""
        text = f', description="of {entity.name}"' if draw.random() < 0.3 else ""
        lines.append(f"{entity.variable} = {at}Entity(name={entity.name!r}, join_keys=[{entity.key!r}]{typed}{text})")
    return "\n".join(lines) + "\n"


def _split(draw: random.Random, views: list[View]) -> list[list[View]]:
    at = draw.randint(1, len(views))
    return [part for part in (views[:at], views[at:]) if part]


def _views_file(draw: random.Random, seed: int, made: Generated, views: Sequence[View], entities: str) -> str:
    whole = draw.random() < 0.5
    at = f"{entities}." if whole else ""
    names = ", ".join(sorted({e.variable for view in views for e in view.entities}))
    lines = [
        "import os",
        "from datetime import timedelta as for_",
        "from feast import FeatureView, Field",
        f"from {POSTGRES} import PostgreSQLSource as Table",
        "from feast import types",
        f"import {entities}" if whole else f"from {entities} import {names}",
        "",
    ]
    for view in views:
        lines += _view_lines(draw, seed, made, view, at)
    return "\n".join(lines) + "\n"


def _view_lines(draw: random.Random, seed: int, made: Generated, view: View, at: str) -> list[str]:
    mapped = dict.fromkeys([next(iter(view.features))], "") if draw.random() < 0.2 else {}
    columns = {name: f"col_{name}" if name in mapped else name for name in view.features}
    created = draw.random() < 0.5
    made.sql += _table(draw, view, columns, created)
    place = f"gold.{view.table}"
    if draw.random() < 0.3 and not view.table.startswith('"'):
        place = view.table
    source = f"table={place!r}"
    kind = draw.random()
    if kind < 0.2:
        source = f"query={f'select * from gold.{view.table} where true'!r}, name='q_{view.name}'"
    elif kind < 0.3:
        variable = f"TABLE_{seed}_{view.name}"
        made.variables[variable] = place
        source = f"table=os.environ[{variable!r}]"
    mapping = {column: name for name, column in columns.items() if column != name}
    options = "".join(
        [
            ", created_timestamp_column='made_at'" if created else "",
            f", field_mapping={mapping!r}" if mapping else "",
        ]
    )
    keys = [f"Field(name={e.key!r}, dtype=types.{KEY_TYPES[e.kind][0]})" for e in view.entities if not e.declares_type]
    fields = [f"Field(name={name!r}, dtype={_dtype(kind)})" for name, kind in view.features.items()]
    ttl = draw.choice(["", ", ttl=for_(days=9000)", ", ttl=for_(hours=30)", ", ttl=for_(0)"])
    more = ", tags={'team': 'x'}" if draw.random() < 0.3 else ""
    online = "" if view.online else ", online=False"
    names = ", ".join(f"{at}{e.variable}" for e in view.entities)
    return [
        f"source_{view.name} = Table({source}, timestamp_field='at'{options})",
        f"{view.name} = FeatureView(name={view.name!r}, entities=[{names}], schema=[{', '.join([*keys, *fields])}],"
        f" source=source_{view.name}{ttl}{more}{online})",
        "",
    ]


def _dtype(kind: str) -> str:
    return f"types.Array(types.{kind[6:-1]})" if kind.startswith("Array") else f"types.{kind}"


def _table(
    draw: random.Random, view: View, columns: dict[str, str], created: bool
) -> list[tuple[str, list[Any] | None]]:
    keys = {e.key: KEY_TYPES[e.kind][1] for e in view.entities}
    kinds = {columns[name]: TYPES[kind][0] for name, kind in view.features.items()}
    extra = {"made_at": "timestamptz"} if created else {}
    declared = {**keys, "at": "timestamptz", **extra, **kinds}
    listed = ", ".join(f'"{name}" {kind}' for name, kind in declared.items())
    found: list[tuple[str, list[Any] | None]] = [(f"create table gold.{view.table} ({listed})", None)]
    for row in range(ROWS):
        entity = row % ENTITIES
        # No two rows of an entity at one time: which of those is the newest, nobody says.
        values = [e.value(entity) for e in view.entities] + [NOW - timedelta(hours=7 * row + 1)]
        values += [NOW - timedelta(minutes=row)] if created else []
        values += [None if draw.random() < 0.15 else TYPES[kind][1](row) for kind in view.features.values()]
        marks = ", ".join("%s" for _ in values)
        found.append((f"insert into gold.{view.table} values ({marks})", values))
    return found


def _services_file(draw: random.Random, made: Generated, module: str) -> str:
    lines = ["from feast import FeatureService"]
    parts = {name: text for name, text in made.files.items() if "views_" in name}
    for name, text in parts.items():
        stem = name.rpartition("/")[2].removesuffix(".py")
        lines += [f"from {module}{stem} import {view.name}" for view in made.views if f"\n{view.name} = " in text]
    lines.append("")
    for n in range(draw.randint(1, 2)):
        chosen = draw.sample(made.views, draw.randint(1, len(made.views)))
        taken = [
            f"{view.name}[[{next(iter(view.features))!r}]]" if draw.random() < 0.4 else view.name for view in chosen
        ]
        lines.append(f"service_{n} = FeatureService(name='service_{n}', features=[{', '.join(taken)}])")
        if all(view.online for view in chosen):
            made.services.append(f"service_{n}")
    return "\n".join(lines) + "\n"
