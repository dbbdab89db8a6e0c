"""Feast is imported without its checks of arguments, and typeguard is left as it was."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit
SCRIPT = """
import typeguard
before = typeguard.typechecked
from terrane_features.feast_internals import import_feast_quickly
import_feast_quickly()
assert typeguard.typechecked is before
import sys
assert "feast.feature_store" in sys.modules
import feast
feast.Entity(name=1, value_type=feast.ValueType.INT64)
print("unchecked")
"""


def test_a_quick_import_leaves_the_checks_out_and_typeguard_as_it_was() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.stdout.strip() == "unchecked", done.stderr
