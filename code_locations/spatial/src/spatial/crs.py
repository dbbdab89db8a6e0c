"""The reference system of a layer, as an EPSG number: from the file or from the manifest, never guessed."""

from __future__ import annotations

from spatial.errors import BatchRejectedError

GIVE_CRS = "give the manifest's file a field crs, such as EPSG:4326"


def srid(name: str, of_file: str | None, of_manifest: str | None) -> int:
    """The EPSG number.

    Args:
        name: what to call the file in messages.
        of_file: `EPSG:n`, WKT, or None when the file does not say.
        of_manifest: `EPSG:n` or None.

    Raises:
        BatchRejectedError: neither says, they disagree, or the file's system has no EPSG number and the manifest none.
    """
    told = int(of_manifest.removeprefix("EPSG:")) if of_manifest else None
    if not of_file:
        if told is None:
            raise BatchRejectedError(f"{name} does not say its coordinate reference system; {GIVE_CRS}")
        return told
    found, title = _identify(of_file)
    if found is None:
        if told is None:
            raise BatchRejectedError(f"{name} has the reference system {title!r}, which has no EPSG number; {GIVE_CRS}")
        return told
    if told is not None and told != found:
        raise BatchRejectedError(
            f"{name} says EPSG:{found} and the manifest says EPSG:{told}; correct the one that is wrong"
        )
    return found


def _identify(text: str) -> tuple[int | None, str]:
    """The EPSG number of a system, or None for a local or custom one; and what it calls itself."""
    import pyproj

    system = pyproj.CRS.from_user_input(text)
    if system.is_engineering:
        return None, system.name
    authority = system.to_authority("EPSG", min_confidence=70)
    return (int(authority[1]) if authority else None), system.name
