"""The reference system of a layer, as an EPSG number: from the file or from the manifest, never guessed.

What a file says is parsed in the process that reads the file, for it may be made to break the parser. A system without
a number is brought to EPSG:4326 there, by all of its definition, when that names no file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from terrane_spatial.errors import BatchRejectedError

GIVE_CRS = "give the manifest's file a field crs, such as EPSG:4326"
EPSG = re.compile(r"EPSG:([1-9][0-9]{0,5})\Z")
# proj.org, "Cartographic projection": parameters that are numbers, or names of what PROJ has built in; no file's name.
PLAIN_PARAMETERS = re.compile(
    r"(proj|lat_(0|1|2|ts)|lon_[012]|lonc|alpha|gamma|k|k_0|x_0|y_0|zone|south|h|sweep|azi|ellps|datum|a|b|rf|R|towgs84|"
    r"pm|units|to_meter|vunits|no_defs|type|no_uoff|no_rot|over|axis)\Z"
)
PLAIN_VALUE = re.compile(r"[A-Za-z0-9_.,+-]{1,80}\Z")


@dataclass(frozen=True)
class System:
    """What a file says of its reference system.

    Attributes:
        epsg: its number; None for a system that has none.
        title: what it calls itself.
        definition: PROJ's parameters of a system without a number, when they are plain; they may lack its datum.
    """

    epsg: int | None
    title: str
    definition: str | None = None


@dataclass(frozen=True)
class Placed:
    """Where a layer's coordinates lie, once it was read."""

    srid: int


def place(name: str, of_file: System | None, of_manifest: str | None) -> Placed:
    """Where the layer lies.

    Args:
        name: what to call the file in messages.
        of_file: what the file says; None when it does not.
        of_manifest: `EPSG:n` or None.

    Raises:
        BatchRejectedError: neither says, they disagree, or the file's system cannot be used and the manifest has none.
    """
    told = int(of_manifest.removeprefix("EPSG:")) if of_manifest else None
    if of_file is None:
        if told is None:
            raise BatchRejectedError(f"{name} does not say its coordinate reference system; {GIVE_CRS}")
        return Placed(told)
    if of_file.epsg is None:
        if told is not None:
            return Placed(told)
        if of_file.definition and is_plain(of_file.definition):
            return Placed(4326)
        raise BatchRejectedError(
            f"{name} has the reference system {of_file.title!r}, which has no EPSG number; {GIVE_CRS}"
        )
    if told is not None and told != of_file.epsg:
        raise BatchRejectedError(
            f"{name} says EPSG:{of_file.epsg} and the manifest says EPSG:{told}; correct the one that is wrong"
        )
    return Placed(of_file.epsg)


def is_plain(definition: str) -> bool:
    """Whether a definition is PROJ parameters alone, none of which makes PROJ open a file or look anything up."""
    parts = [part.removeprefix("+").partition("=") for part in definition.split()]
    return bool(parts) and all(
        PLAIN_PARAMETERS.match(key) is not None and (not given or bool(PLAIN_VALUE.match(value)))
        for key, given, value in parts
    )
