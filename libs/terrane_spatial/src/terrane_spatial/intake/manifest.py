"""The manifest of a batch: what a producer must write, and what is wrong with what was written.

A manifest names object keys and facts about them, nothing that a reader would run or resolve: no paths, drivers, SQL or
connection strings.
"""

from __future__ import annotations

import codecs
import json
import re
import unicodedata
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from terrane_spatial.errors import BatchRejectedError, shown
from terrane_spatial.identifiers import launder
from terrane_spatial.reading.reference_system import EPSG

# The name `datetime` is a field of the manifest.
Moment = datetime
FOLDER = "manifests/"
DECIDED = "manifests/decided/"
SUFFIX = ".json"
REJECTED_SUFFIX = ".rejected.json"
WAITING_SUFFIX = ".waiting.json"
MAX_MANIFEST_BYTES = 1 << 20
MAX_FILES = 1000
MAX_FILE_BYTES = 1 << 40

BATCH_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}\Z")
DATASET = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
SHA256 = re.compile(r"[0-9a-f]{64}\Z")
MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2}))?\Z"
)
KEY = re.compile(r"[\w][\w.,=+@()!' -]*(/[\w.,=+@()!' -]+)*\Z")
MAX_KEY_BYTES = 1024


def _batch_id(value: str) -> str:
    # Dagster takes no partition key with three dots.
    if not BATCH_ID.match(value) or value.endswith((".rejected", ".waiting")) or "..." in value:
        raise ValueError(
            "expected at most 100 lower-case letters, digits, '.', '_' or '-', "
            "beginning with a letter or digit, without '...' and not ending in '.rejected' or '.waiting'"
        )
    return value


def _dataset(value: str) -> str:
    if not DATASET.match(value):
        raise ValueError("expected at most 63 lower-case letters, digits or '_', beginning with a letter")
    return value


def _object_key(value: str) -> str:
    if value != unicodedata.normalize("NFC", value):
        raise ValueError("expected an object key in Unicode's normal form NFC")
    forbidden = ".." in value.split("/") or "." in value.split("/") or "/vsi" in f"/{value}".lower()
    if forbidden or not KEY.match(value) or len(value.encode()) > MAX_KEY_BYTES:
        raise ValueError(
            "expected an object key of the landing zone such as batches/<batch_id>/places.zip: "
            "no path, no '..', no leading '/', no ':', no '/vsi', no control characters"
        )
    return value


def _sha256(value: str) -> str:
    if not SHA256.match(value):
        raise ValueError("expected 64 lower-case hexadecimal digits, the SHA-256 of the object")
    return value


def _crs(value: str) -> str:
    if not EPSG.match(value):
        raise ValueError("expected 'EPSG:' and a number of at most six digits, such as EPSG:4326")
    return value


def _moment(value: str) -> str:
    try:
        moment_of(value)
    except (ValueError, OverflowError):
        raise ValueError(
            "expected a date such as 2026-01-31, or a time with its zone such as 2026-01-31T12:00:00Z"
        ) from None
    return value


def moment_of(value: str) -> datetime:
    """The moment in UTC; of a date, its midnight there. Raises ValueError or OverflowError for what is none."""
    if not MOMENT.match(value):
        raise ValueError(value)
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)


def _encoding(value: str) -> str:
    try:
        if not value.isascii() or codecs.lookup(value).encode("a")[0] != b"a":
            raise LookupError(value)
    except (LookupError, TypeError, ValueError):
        raise ValueError("expected the name of a text encoding such as UTF-8 or ISO-8859-1") from None
    return value


class ManifestFile(BaseModel):
    """One object of the batch.

    Attributes:
        key: of the object in the landing zone.
        size: in bytes.
        sha256: of its bytes, in hexadecimal.
        layer: the layer to load, where the file has several.
        crs: `EPSG:n`, where the file itself does not say.
        encoding: of its text, where the file itself does not say and it is not UTF-8.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    key: Annotated[str, AfterValidator(_object_key)]
    size: Annotated[int, Field(ge=1, le=MAX_FILE_BYTES)]
    sha256: Annotated[str, AfterValidator(_sha256)]
    layer: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    crs: Annotated[str, AfterValidator(_crs)] | None = None
    encoding: Annotated[str, AfterValidator(_encoding)] | None = None

    @property
    def table(self) -> str:
        """The table the file is loaded into: its stem, laundered."""
        return launder(PurePosixPath(self.key).stem, "table")


class Manifest(BaseModel):
    """A batch: which dataset it is of, its files, and from when its data are.

    Attributes:
        valid_from, datetime: the data's time, by which the newest batch is chosen; at most one of them. Without one it
            is the time at which the manifest was written.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: Literal[1]
    batch_id: Annotated[str, AfterValidator(_batch_id)]
    dataset: Annotated[str, AfterValidator(_dataset)]
    files: Annotated[list[ManifestFile], Field(min_length=1, max_length=MAX_FILES)]
    valid_from: Annotated[str, AfterValidator(_moment)] | None = None
    datetime: Annotated[str, AfterValidator(_moment)] | None = None

    @property
    def data_time(self) -> Moment | None:
        """The data's time in UTC, where the manifest names one."""
        said = self.valid_from or self.datetime
        return moment_of(said) if said else None


def manifest_key(batch_id: str) -> str:
    return f"{FOLDER}{batch_id}{SUFFIX}"


def marker_key(manifest: str) -> str:
    """The key of the marker that says why the manifest of that key was rejected."""
    return manifest.removesuffix(SUFFIX) + REJECTED_SUFFIX


def note_key(manifest: str) -> str:
    """The key of the note that says why the manifest of that key waits."""
    return manifest.removesuffix(SUFFIX) + WAITING_SUFFIX


def batch_id_of(key: str) -> str:
    """The batch_id a manifest of that key must have."""
    return key.removeprefix(FOLDER).removesuffix(SUFFIX)


def parse(key: str, content: bytes) -> Manifest:
    """The manifest. Raises BatchRejectedError with every reason why it is none."""
    fields = _json_object(key, content)
    try:
        manifest = Manifest.model_validate(fields)
    except ValidationError as error:
        raise BatchRejectedError([_sentence(detail) for detail in error.errors()]) from None
    reasons = _contradictions(key, manifest)
    if reasons:
        raise BatchRejectedError(reasons)
    return manifest


def _json_object(key: str, content: bytes) -> dict[str, Any]:
    if len(content) > MAX_MANIFEST_BYTES:
        raise BatchRejectedError(f"{key} is too large: a manifest has at most {MAX_MANIFEST_BYTES} bytes")
    try:
        fields = json.loads(content.decode("utf-8"), object_pairs_hook=_without_repeats)
    except UnicodeDecodeError as error:
        raise BatchRejectedError(f"{key} is not UTF-8 at byte {error.start}; a manifest is JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise BatchRejectedError(f"{key} is not JSON: {error.msg} at {place}") from None
    except ValueError as error:
        # Python reads no number of more than 4300 digits.
        raise BatchRejectedError(f"{key} holds a number that is too long: {error}") from None
    except RecursionError:
        raise BatchRejectedError(f"{key} is nested too deeply for a manifest") from None
    if not isinstance(fields, dict):
        raise BatchRejectedError(f"{key} is a JSON {type(fields).__name__}; a manifest is a JSON object")
    return fields


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise BatchRejectedError(f"{', '.join(repeated)}: written more than once; every field is written once")
    return fields


def _contradictions(key: str, manifest: Manifest) -> list[str]:
    reasons = []
    if manifest.batch_id != batch_id_of(key):
        reasons.append(f"batch_id: expected {batch_id_of(key)!r}, the name of {key}, got {manifest.batch_id!r}")
    if manifest.valid_from and manifest.datetime:
        reasons.append("datetime: there is valid_from too; a batch has one of them, by which the newest is chosen")
    first_with: dict[str, str] = {}
    for number, file in enumerate(manifest.files):
        other = first_with.setdefault(file.table, file.key)
        if other is not file.key:
            reasons.append(
                f"files[{number}].key: {file.key} and {other} would both be table {file.table}; name them differently"
            )
    return reasons


def _sentence(detail: Any) -> str:
    """One of pydantic's findings as a reason: the field, what is expected, what was found."""
    field = (
        "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]).lstrip(".")
        or "a field's name"
    )
    if detail["type"] == "missing":
        return f"{field}: missing, and it is required"
    if detail["type"] == "extra_forbidden":
        model = ManifestFile if "[" in field else Manifest
        return f"{field}: unknown field; expected only {', '.join(model.model_fields)}"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{field}: {message[0].lower()}{message[1:]}, got {shown(detail['input'])}"
