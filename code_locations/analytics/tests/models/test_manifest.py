"""The manifest prepares itself, once for each content of the project, without a database."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from terrane_dbt.dbt_project import manifest
from terrane_dbt.dbt_project.manifest import ManifestFailed, content_hash, ensure_manifest

ROOT = Path(__file__).parents[4]
WAREHOUSE = [f"WAREHOUSE_{name}" for name in manifest.CONNECTION]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A copy of the dbt project as a fresh clone has it, and no variable that names a database."""
    for name in (*WAREHOUSE, "DBT_PROFILES_DIR"):
        monkeypatch.delenv(name, raising=False)
    copy = tmp_path / "dbt"
    shutil.copytree(ROOT / "dbt", copy, ignore=shutil.ignore_patterns("target", "logs", ".*"))
    return copy


@pytest.fixture
def parses(monkeypatch):
    """How often dbt was started."""
    started, real = [], subprocess.run

    def run(*arguments, **options):
        started.append(arguments)
        return real(*arguments, **options)

    monkeypatch.setattr(manifest.subprocess, "run", run)
    return started


@pytest.mark.integration
@pytest.mark.slow
def test_a_fresh_clone_is_parsed_once_and_again_when_its_content_changed(project, parses):
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(ensure_manifest, [project] * 4))
    assert (found, len(parses)) == ({project / "target/manifest.json"}, 1)
    before = (project / "target/manifest.json").read_text()

    (project / "models/staging/users.sql").touch()
    ensure_manifest(project)
    assert len(parses) == 1

    with (project / "models/gold/journal_activity_daily.sql").open("a") as model:
        model.write("-- changed")
    ensure_manifest(project)
    assert len(parses) == 2
    assert (project / "target/manifest.json").read_text() != before


@pytest.mark.integration
def test_a_project_that_cannot_be_parsed_says_which_file_and_leaves_no_manifest(project):
    (project / "models/gold/broken.sql").write_text("select * from {{ ref('nobody') }}")
    with pytest.raises(ManifestFailed) as caught:
        ensure_manifest(project)
    assert str(caught.value).startswith(f"dbt cannot parse the project in {project}: ")
    assert "depends on a node named 'nobody' which was not found" in str(caught.value)
    assert not (project / "target/manifest.json").exists()


@pytest.mark.integration
def test_the_manifest_is_one_for_all_environments(project, parses, monkeypatch):
    before = json.loads(ensure_manifest(project).read_text())
    shutil.rmtree(project / "target")
    monkeypatch.setenv("TERRANE_ENVIRONMENT", "staging")
    after = json.loads(ensure_manifest(project).read_text())
    schemas = [{n["schema"] for n in [*m["nodes"].values(), *m["sources"].values()]} for m in (before, after)]
    assert schemas[0] == schemas[1] >= {"raw", "staging", "intermediate", "gold"}
    assert ensure_manifest(project)
    assert len(parses) == 2


@pytest.mark.unit
def test_a_manifest_that_an_image_carries_is_not_parsed_again_even_where_nothing_can_be_written(project, parses):
    target = project / "target"
    target.mkdir()
    (target / "manifest.json").write_text("{}")
    (target / "manifest.sha256").write_text(content_hash(project))
    target.chmod(0o555)
    assert ensure_manifest(project) == target / "manifest.json"
    assert parses == []


@pytest.mark.unit
def test_what_dbt_itself_writes_is_no_content(project):
    before = content_hash(project)
    for name in ("target/run/x.sql", "logs/dbt.log", ".user.yml"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("x")
    assert content_hash(project) == before
    (project / "models/gold/target.sql").write_text("select 1")
    assert content_hash(project) != before


@pytest.mark.unit
@pytest.mark.slow
def test_definitions_validate_without_any_variable_of_a_database():
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/tmp"}
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-m", "analytics.definitions"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, cwd=ROOT / "code_locations/analytics"
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "All code locations passed validation" in done.stdout + done.stderr
