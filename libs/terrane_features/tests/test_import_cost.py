"""Feast costs seconds to import: who needs it pays, and nobody else does."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration
RUN = """
import sys
import dagster as dg
from terrane.ownership import Ownership
from terrane_features.components.lineage import Lineage
from terrane_features.components.registry import registry
from terrane_features.resources import FeastResource
from terrane.postgres import PostgresResource

feast = FeastResource(repo_path=sys.argv[1])
warehouse = PostgresResource.from_process("WAREHOUSE")
resources = {"feast": feast, "warehouse": warehouse}
lineage = Lineage(Ownership("team:features", "features"))
result = dg.materialize([registry(feast.repository(), lineage)], resources=resources)
assert result.success
print("feast" in sys.modules, "pyarrow" in sys.modules, "pandas" in sys.modules)
"""


def printed(stores, script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, str(stores.feast.folder)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip().splitlines()[-1]


def test_a_run_that_finds_the_definitions_applied_imports_no_feast(stores) -> None:
    assert printed(stores, RUN).startswith("True")
    assert printed(stores, RUN) == "False False False"
