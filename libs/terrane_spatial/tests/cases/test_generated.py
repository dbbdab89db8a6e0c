"""Files made at random by format, loaded, and compared value by value with what was written into them.

Bounded here to some seconds a format; `make generated-files MINUTES=10` goes on with other seeds. A failure names the
seed.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import time
from typing import Any

import pytest
from generated_files import KEY, MAKERS, Made
from spatial_cases import Case, Load

from terrane_spatial.identifiers import launder_all
from terrane_spatial.loading.table_loader import RESERVED

pytestmark = pytest.mark.integration
SECONDS = float(os.environ.get("GENERATED_SECONDS", "4"))
# Degrees. GDAL's own parser of GML's coordinates is that inexact, which the facts of the load say.
ROUNDED = {"GML": 1e-13}
FIRST_SEED = int(os.environ.get("GENERATED_SEED", "1"))


def is_same(wanted: Any, found: Any) -> bool:
    """Whether a value is there as it was written, as itself or as text of it."""
    if wanted is None or found is None:
        return wanted is None and found is None
    if isinstance(wanted, bool):
        return found in (wanted, str(wanted).lower(), int(wanted), str(int(wanted)))
    if isinstance(wanted, int | float):
        return found == wanted or (isinstance(found, str) and json.loads(found) == wanted)
    if isinstance(wanted, list | dict):
        return json.loads(found) == wanted
    if isinstance(found, dt.datetime):
        return found.replace(tzinfo=None).isoformat() == wanted.rstrip("Z").replace(" ", "T")
    if isinstance(found, dt.date):
        return found.isoformat().replace("-", "") == wanted.replace("-", "")
    if isinstance(found, bool):
        return str(found).lower() == wanted
    if isinstance(found, int | float):
        return wanted in (str(found), repr(float(found))) or (
            str(float(wanted)) == str(float(found)) and "e" in wanted.lower()
        )
    return found == wanted


def differences(case: Case, made: Made) -> list[str]:
    geometry = {"geometry"}
    names = launder_all(made.columns, RESERVED | geometry)
    present = set(case.columns())
    chosen = ", ".join(f'"{names[n]}"' for n in made.columns if names[n] in present)
    kept = [n for n in made.columns if names[n] in present]
    found = case.connection.execute(f"select {chosen}, st_x(geometry), st_y(geometry) from t".encode()).fetchall()
    by_key = {str(row[0]): row for row in found}
    wrong = [] if len(found) == len(made.rows) else [f"{len(found)} rows of {len(made.rows)}"]
    for row, point in zip(made.rows, made.points, strict=True):
        held = by_key.get(str(row[KEY]))
        if held is None:
            wrong.append(f"row {row[KEY]} is gone")
            continue
        if not all(abs(a - b) <= ROUNDED.get(case.facts["driver"], 0) for a, b in zip(held[-2:], point, strict=True)):
            wrong.append(f"row {row[KEY]}, point {held[-2:]} for {point}")
        for name, value in zip(kept, held, strict=False):
            if not is_same(row[name], value):
                wrong.append(f"row {row[KEY]}, {name}: {value!r} for {row[name]!r}")
        for name in set(made.columns) - set(kept):
            if row[name] not in (None, ""):
                wrong.append(f"row {row[KEY]}, {name}: gone")
    return wrong


@pytest.mark.parametrize("name", MAKERS)
def test_what_was_written_is_loaded(load: Load, name: str) -> None:
    end, seed = time.monotonic() + SECONDS, FIRST_SEED
    while seed == FIRST_SEED or time.monotonic() < end:
        made = MAKERS[name](random.Random(f"{name} {seed}"))
        case = load(made.content, **made.told)
        wrong = differences(case, made)
        assert not wrong, f"seed {seed}: {wrong[:5]}; {case.facts}"
        seed += 1
