"""Which profiles a project is run with: those of DBT_PROFILES_DIR where they are for it, or its own."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import yaml

from terrane_dbt.dbt_project.cli import dbt_project
from terrane_dbt.dbt_project.profiles import profiles_folder
from terrane_dbt.dbt_project.scratch import own_folder

pytestmark = pytest.mark.unit

PROFILE = "{}:\n  target: warehouse\n  outputs: {{warehouse: {{type: postgres}}}}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "dbt_project.yml").write_text("name: maps\nprofile: maps  # its own\n")
    (folder / "profiles.yml").write_text(PROFILE.format("maps"))
    return folder


@pytest.mark.parametrize(
    ("named", "own"),
    [("maps", False), ("'maps'", False), ("terrane", True), ("maps_too", True), (None, True)],
)
def test_the_variable_s_are_taken_where_the_project_s_is_among_them(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str | None, own: bool
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if named:
        (elsewhere / "profiles.yml").write_text(PROFILE.format(named))
    monkeypatch.setenv("DBT_PROFILES_DIR", str(elsewhere))
    expected = project if own else elsewhere
    assert profiles_folder(project) == expected
    assert Path(str(dbt_project(project).profiles_dir)) == expected


def test_without_the_variable_they_are_its_own(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBT_PROFILES_DIR", raising=False)
    assert profiles_folder(project) == project


def test_a_project_whose_profile_is_nowhere_is_given_the_warehouse_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DBT_PROFILES_DIR", raising=False)
    (tmp_path / "dbt_project.yml").write_text("name: shop\nprofile: default\n")
    made = yaml.safe_load((profiles_folder(tmp_path) / "profiles.yml").read_text())
    (target,) = made["default"]["outputs"].values()
    assert target["type"] == "postgres"
    assert target["schema"].startswith("shop{{")
    # By the name of its variable alone.
    assert target["password"] == "{{ env_var('WAREHOUSE_PASSWORD') }}"
    assert profiles_folder(tmp_path) == profiles_folder(tmp_path)


def test_with_a_schema_the_project_s_own_profile_is_left_aside(project: Path) -> None:
    folder = profiles_folder(project, "bought")
    assert folder != project
    made = yaml.safe_load((folder / "profiles.yml").read_text())
    (target,) = made["maps"]["outputs"].values()
    assert target["schema"].startswith("bought{{")


def test_a_folder_that_another_user_has_made_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = own_folder("profiles-0")
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="belongs to another user"):
        own_folder("profiles-0")
