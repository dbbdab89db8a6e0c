"""What was loaded, held beside a second reading of the file and beside what GDAL said while it read.

What differs is read again by hand, which a retry of the load does; what then still differs is refused.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrane_spatial.errors import BatchRejectedError
from terrane_spatial.files.formats import of_path
from terrane_spatial.intake.manifest import ManifestFile
from terrane_spatial.reading import second_reader
from terrane_spatial.reading.layer import size_of
from terrane_spatial.reading.second_reader import Compared, Reading
from terrane_spatial.reading.source import Source
from terrane_spatial.reading.vector_reader import ByHandError, How, RecordBatches, limits_of_size

if TYPE_CHECKING:
    from terrane_spatial.reading.layer import Layer, Met

# Of GDAL's warnings, those after which a value or a geometry is not what the file says.
CHANGING = (
    *("Invalid content for record", "Non-conformant content", "parsed incompletely", "integer overflow", "truncated"),
    *("Ignoring invalid WKT", "Invalid coord dimension", "Expected array", "clamped", "out of range", "Recode from"),
)
MAX_TOLD = 5


def require_the_same(path: Path, file: ManifestFile, layer: Layer, reader: RecordBatches, how: How) -> dict[str, Any]:
    """What the run's report says of the comparison.

    Args:
        how: the file was read for the load.

    Raises:
        ByHandError: something differs, and the file can be read by hand.
        BatchRejectedError: something differs.
    """
    met = reader.met
    if how.by_hand:
        return {"read by hand, for": how.by_hand.removeprefix(f"{file.key}: "), **(layer.by_hand or {})}
    compared = second_reader.compare(replace(_reading(path, file, layer, reader), strict=how.strict), reader.held)
    _require_columns(file.key, compared)
    if compared.rows is not None and compared.rows != met.rows:
        raise ByHandError(f"{file.key}: GDAL reads {met.rows} rows, and the file holds {compared.rows}")
    if compared.rows is not None and compared.compared < compared.values:
        told = f"{compared.compared} of {compared.values} rows have the same place in both readings"
        raise ByHandError(f"{file.key}: {told}")
    said = [*met.failures, *(told for told in met.warnings if any(word in told for word in CHANGING))]
    if said and compared.without is None:
        raise ByHandError(f"{file.key}: GDAL says: {'; '.join(said[:MAX_TOLD])}")
    _require_whole(file.key, layer, met, compared)
    return {**compared.report(), **compared.facts}


def _reading(path: Path, file: ManifestFile, layer: Layer, reader: RecordBatches) -> Reading:
    kind = of_path(path)
    source = Source(str(path), kind.driver, kind.title, layer.layer, file.encoding, dict(kind.options))
    return Reading(
        source=source._asdict(),
        name=file.key,
        geometry_column=layer.geometry_column,
        geometry_compared=layer.brought_from is None,
        key=layer.key,
        hidden=reader.hidden,
        limits=limits_of_size(size_of(path)),
    )


def _require_columns(name: str, compared: Compared) -> None:
    if compared.differences:
        told = [f"{what}; {compared.counts[column]} such rows" for column, what in compared.differences.items()]
        raise ByHandError(f"{name}: {'; '.join(told[:MAX_TOLD])}")
    if compared.missing:
        raise ByHandError(f"{name}: GDAL does not read its columns {', '.join(compared.missing[: 2 * MAX_TOLD])}")


def _require_whole(name: str, layer: Layer, met: Met, compared: Compared) -> None:
    """Refuses what only GDAL can read, and did not read whole."""
    if met.failures:
        raise BatchRejectedError(
            f"{name}: GDAL cannot read all of it: {'; '.join([*met.failures][:MAX_TOLD])}. It says that it has "
            f"{layer.features} features, and {met.rows} were read"
        )
    if compared.rows is None and layer.features > met.rows:
        raise BatchRejectedError(
            f"{name}: its layer {layer.layer} says that it has {layer.features} features, and {met.rows} were read"
        )
