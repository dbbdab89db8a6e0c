"""Fuzzes the parser of manifests, guided by its coverage: whatever the bytes, a manifest or reasons, and nothing else.

python tests/fuzz/fuzz_manifests.py -max_total_time=60 <folder of the corpus>
"""

# pyright: reportAttributeAccessIssue=false, reportMissingImports=false
# atheris makes its functions at import, and has no wheel for every machine.

from __future__ import annotations

import sys

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
    assert 0 < len(reasons) <= MAX_REASONS + 1
    assert all(reason.isprintable() and len(reason) <= MAX_REASON_CHARS + 3 for reason in reasons)


def main() -> None:
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
