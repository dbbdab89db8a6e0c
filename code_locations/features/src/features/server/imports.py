"""Importing Feast in half its time."""

from __future__ import annotations

import sys
from typing import Any


def import_feast_quickly() -> None:
    """Imports what the server needs of Feast without typeguard's run-time checks of arguments.

    Feast decorates its definition classes with `typechecked`, which parses and compiles each of their methods again at
    import. A server builds no definitions, so it has no use for the checks.
    """
    if "feast" in sys.modules:
        return
    import typeguard

    original = typeguard.typechecked
    typeguard.typechecked = _unchecked  # pyright: ignore[reportAttributeAccessIssue]
    try:
        import feast.feature_server  # noqa: F401
    finally:
        typeguard.typechecked = original  # pyright: ignore[reportAttributeAccessIssue]


def _unchecked(target: Any = None, **_: Any) -> Any:
    return (lambda decorated: decorated) if target is None else target
