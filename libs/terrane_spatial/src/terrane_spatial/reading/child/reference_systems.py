"""The reference system that a file names, parsed in the process that reads it, which the file may be made to break.

pyproj is imported where it is used: most files say their system by its number, and are read 0.1 s sooner without it.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

from terrane_spatial.reading.reference_system import EPSG, System, is_plain

MAX_TEXT_CHARS = 100_000
MIN_CONFIDENCE = 70
OGC_GEOGRAPHIC = {"CRS84": 4326, "CRS83": 4269, "CRS27": 4267}


def identify(told: Any) -> System | None:
    """The system that a file tells of as `EPSG:n`, WKT, or PROJJSON; None when it tells of none.

    Of a compound or a three-dimensional system, its horizontal part. A local system is one without a number.
    """
    if not told:
        return None
    if isinstance(told, str) and (number := EPSG.match(told)):
        return System(int(number.group(1)), told)
    import pyproj
    from pyproj.exceptions import CRSError

    try:
        text = json.dumps(told) if isinstance(told, dict) else str(told)
        if len(text) > MAX_TEXT_CHARS:
            return System(None, f"{text[:80]}...")
        system = pyproj.CRS.from_string(text) if text in ("OGC:CRS84", *OGC_GEOGRAPHIC) else _parse(text)
        # OGC 12-128r19, requirement 11: numbers 0 and -1 are for systems that nobody has defined.
        if system.name.lower().startswith("undefined "):
            return System(None, system.name)
        return _system(_horizontal(system), system)
    except (CRSError, ValueError, RecursionError):
        return System(None, f"{str(told)[:80]}")


def parsed_system(told: Any) -> Any:
    """The horizontal part of what `identify` found a definition in, with the shift of datum that it brings."""
    system = _parse(json.dumps(told) if isinstance(told, dict) else str(told))
    return system if system.is_bound else _horizontal(system)


def _parse(text: str) -> Any:
    """A system from WKT or PROJJSON and nothing else, for a user's input may also be a file's name."""
    import pyproj

    return pyproj.CRS.from_json(text) if text.lstrip().startswith("{") else pyproj.CRS.from_wkt(text)


def _horizontal(system: Any) -> Any:
    if system.is_bound and system.source_crs is not None:
        return _horizontal(system.source_crs)
    if system.is_compound:
        return _horizontal(system.sub_crs_list[0])
    return system.to_2d() if len(system.axis_info) > 2 else system


def _system(system: Any, whole: Any) -> System:
    """What is known of a horizontal system; its definition with the shift of datum that the whole of it brings."""
    if system.is_engineering:
        return System(None, system.name)
    authority = system.to_authority(min_confidence=MIN_CONFIDENCE)
    if authority and authority[0] == "OGC" and authority[1] in OGC_GEOGRAPHIC:
        return System(OGC_GEOGRAPHIC[authority[1]], system.name)
    number = system.to_authority("EPSG", min_confidence=MIN_CONFIDENCE)
    if number and number[1].isdigit():
        return System(int(number[1]), system.name)
    return System(None, system.name, _definition(whole if whole.is_bound else system))


def _definition(system: Any) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = system.to_proj4()
    return text if text and is_plain(text) else None
