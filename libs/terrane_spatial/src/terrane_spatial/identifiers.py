"""Names for tables and columns, made from names that files bring along: deterministic, short, free of surprises."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MAX_NAME_CHARS = 63
NOT_PLAIN = re.compile(r"[^a-z0-9]+")
SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})


def launder(name: str, fallback: str) -> str:
    """The name in lower-case ASCII letters, digits and underscores, at most 63 characters, beginning with a letter.

    Accents go; what has no ASCII form becomes an underscore; a name of which nothing is left becomes `fallback`.
    """
    plain = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    plain = NOT_PLAIN.sub("_", plain).strip("_")
    if not plain:
        plain = fallback
    if plain[0].isdigit():
        plain = f"{fallback[0]}_{plain}"
    return plain[:MAX_NAME_CHARS].rstrip("_")


def launder_all(names: Iterable[str], reserved: Iterable[str] = ()) -> dict[str, str]:
    """Every name with its laundered form; where two would be the same, the later gets a number.

    Args:
        reserved: what no name may become, beside Postgres' own system columns.
    """
    taken = {*reserved, *SYSTEM_COLUMNS}
    laundered: dict[str, str] = {}
    for name in names:
        plain = launder(name, "column")
        candidate, number = plain, 1
        while candidate in taken:
            number += 1
            candidate = f"{plain[: MAX_NAME_CHARS - len(str(number)) - 1]}_{number}"
        taken.add(candidate)
        laundered[name] = candidate
    return laundered
