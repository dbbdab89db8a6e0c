"""Fuzzes the parser of manifests, guided by its coverage: whatever the bytes, a manifest or reasons, and nothing else.

python tests/fuzz/fuzz_manifests.py -max_total_time=60 <folder of the corpus>
"""

# pyright: reportAttributeAccessIssue=false, reportMissingImports=false
# atheris makes its functions at import, and has no wheel for every machine.

from __future__ import annotations

import json
import random
import sys
from typing import Any

import atheris

with atheris.instrument_imports(
    include=[
        "terrane_spatial.intake.manifest",
        "terrane_spatial.identifiers",
        "terrane_spatial.errors",
        "terrane_spatial.files.sniffing",
    ]
):
    from terrane_spatial.errors import MAX_REASON_CHARS, MAX_REASONS, BatchRejectedError
    from terrane_spatial.files.sniffing import points_elsewhere, sniff
    from terrane_spatial.identifiers import launder_all
    from terrane_spatial.intake.manifest import BATCH_ID, KEY, MAX_FILES, parse

KEY_OF_MANIFEST = "manifests/b-1.json"
MAX_DEPTH = 4
FIELDS = ("version", "batch_id", "dataset", "files", "valid_from", "datetime", "key", "size", "sha256", "layer", "crs")
# Written as they are: what JSON allows, and what Python's reader takes beside it.
NUMBERS = ("1", "-0", "1e999", "-1.5e-7", "9" * 4300, "9" * 4301, "1" * 5000 + ".5", "NaN", "-Infinity", str(1 << 64))
TEXTS = (
    "b-1",
    "places",
    "batches/b-1/places.zip",
    "a" * 64,
    "EPSG:4326",
    "2026-01-31T12:00:00Z",
    "0001-01-01T00:00:00+14:00",
)
ODD = ("\\ud800", "\\u0000", "\\udfff\\ud800", "\u202e", "\u00e9", "e\u0301", "...", "../", "/vsicurl/", "\x7f", "")
NESTED = ("[" * 2000 + "]" * 2000, '{"a":' * 2000 + "1" + "}" * 2000, "[" * 100_000)


def check(content: bytes) -> None:
    """Holds what the rest of the location relies on."""
    found = sniff(content)
    assert found is None or found.suffix
    points_elsewhere(content)
    try:
        manifest = parse(KEY_OF_MANIFEST, content)
    except BatchRejectedError as error:
        _check_reasons(error.reasons)
        return
    assert manifest.batch_id == "b-1"
    assert BATCH_ID.match(manifest.batch_id)
    assert 0 < len(manifest.files) <= MAX_FILES
    for file in manifest.files:
        assert KEY.match(file.key)
        assert ".." not in file.key.split("/")
        assert not file.key.startswith("/")
        assert file.table.isidentifier()
        assert file.table.isascii()
    assert len(set(launder_all(file.key for file in manifest.files).values())) == len(
        {file.key for file in manifest.files}
    )


def _check_reasons(reasons: list[str]) -> None:
    """They are told: in the marker, in the ledger, which takes no NUL and no lone surrogate, and in the log."""
    assert 0 < len(reasons) <= MAX_REASONS + 1
    assert "\0" not in json.dumps(reasons, ensure_ascii=False).encode().decode()
    assert all(reason.isprintable() and len(reason) <= MAX_REASON_CHARS + 3 for reason in reasons)


def mutated(data: bytes, max_size: int, seed: int) -> bytes:
    """Another text of JSON's grammar, or near it: bytes changed at random are hardly ever JSON at all."""
    chance = random.Random(seed)
    if chance.random() < 0.3:
        return atheris.Mutate(data, max_size)
    try:
        text = _with_a_change(json.loads(data), chance)
    except (ValueError, RecursionError):
        text = _value(chance, 0)
    return text.encode("utf-8", "surrogatepass")[:max_size]


def _with_a_change(found: Any, chance: random.Random) -> str:
    """The value as JSON, with something in it, at any depth, put in, taken out, replaced or written twice."""
    if isinstance(found, dict) and found and chance.random() < 0.8:
        at = chance.choice(list(found))
        written = [f"{json.dumps(name)}:{json.dumps(value)}" for name, value in found.items() if name != at]
        here = json.dumps(at)
        choices = (
            [f"{here}:{_with_a_change(found[at], chance)}"],
            [],
            [f"{here}:{_value(chance, 0)}"],
            [f"{here}:{json.dumps(found[at])}", f"{here}:{_value(chance, 0)}"],
            [f"{here}:{json.dumps(found[at])}", f"{_text(chance)}:{_value(chance, 0)}"],
        )
        return "{" + ",".join([*written, *chance.choice(choices)]) + "}"
    if isinstance(found, list) and found and chance.random() < 0.8:
        at = chance.randrange(len(found))
        items = [json.dumps(item) for item in found]
        items[at : at + 1] = chance.choice(([], [items[at]] * 2, [_with_a_change(found[at], chance)]))
        return "[" + ",".join(items) + "]"
    return _value(chance, 0)


def _value(chance: random.Random, depth: int) -> str:
    kind = chance.randrange(7 if depth < MAX_DEPTH else 4)
    if kind == 0:
        return chance.choice(("true", "false", "null"))
    if kind == 1:
        return chance.choice(NUMBERS)
    if kind in (2, 3):
        return _text(chance)
    if kind == 4:
        return chance.choice(NESTED)
    inner = [_value(chance, depth + 1) for _ in range(chance.randrange(4))]
    if kind == 5:
        return "[" + ",".join(inner) + "]"
    return "{" + ",".join(f"{json.dumps(chance.choice(FIELDS))}:{value}" for value in inner) + "}"


def _text(chance: random.Random) -> str:
    return '"' + "".join(chance.choice((*TEXTS, *ODD, *FIELDS)) for _ in range(chance.randrange(1, 4))) + '"'


def main() -> None:
    atheris.Setup(sys.argv, check, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
