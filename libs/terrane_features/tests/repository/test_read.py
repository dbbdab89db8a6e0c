"""What Feast reads from a repository is kept as text, and what cannot be read is named with file and line."""

from __future__ import annotations

import shutil
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import feast  # noqa: F401 - with its checks, so that no process of its own is started for each test
import pytest

from terrane_features.repository import read
from terrane_features.repository.model import RepositoryError
from terrane_features.repository.read import locate, read_repository
from terrane_features.resources import FeastResource

pytestmark = pytest.mark.integration


def test_the_view_its_key_its_table_and_its_fields_are_read(repository_copy: Path) -> None:
    (view,) = read_repository(repository_copy).views
    assert (view.name, view.table, view.join_keys) == (
        "user_journal_features",
        "gold.user_journal_features",
        (("user_id", "INT64"),),
    )
    assert {f.name: f.dtype for f in view.features}["avg_mood"] == "Float64"
    assert len(view.features) == 11
    assert (view.timestamp_column, view.created_column) == ("event_timestamp", "created_timestamp")


def test_services_and_the_project_are_read(repository_copy: Path) -> None:
    repository = read_repository(repository_copy)
    assert repository.project == "terrane"
    (service,) = repository.services
    assert (service.name, service.views) == ("analyzer", ("user_journal_features",))


def test_the_digest_changes_with_a_definition_and_not_with_the_folder(repository_copy: Path, tmp_path: Path) -> None:
    before = read_repository(repository_copy).digest
    moved = repository_copy.rename(tmp_path / "elsewhere")
    assert read_repository(moved).digest == before
    entities = moved / "entities.py"
    entities.write_text(entities.read_text().replace("A user of", "Somebody with"))
    assert read_repository(moved).digest != before


def test_two_files_may_use_one_variable_name_for_different_things(repository_copy: Path) -> None:
    (repository_copy / "places.py").write_text(PLACES)
    places, journal = read_repository(repository_copy).views
    assert (places.table, journal.table) == ("gold.places", "gold.user_journal_features")
    assert places.join_keys == (("user_id", "INT64"),)
    assert places.features[0].dtype == "Array(String)"


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        ("source=user_journal_source", "source=elsewhere", ":37", "name 'elsewhere' is not defined"),
        ("user_journal_source = ", "user_journal_source = = ", ":10", "SyntaxError: invalid syntax"),
        ("import user_entity", "import nobody", ":5", "cannot import name 'nobody'"),
    ],
)
def test_a_file_that_cannot_be_imported_is_named_with_line_and_reason_and_costs_the_others_nothing(
    repository_copy: Path, old: str, new: str, place: str, message: str
) -> None:
    (repository_copy / "places.py").write_text(PLACES)
    file = repository_copy / "user_journal.py"
    file.write_text(file.read_text().replace(old, new))
    repository = read_repository(repository_copy)
    (problem,) = repository.problems
    assert problem.place == f"feast_repo/user_journal.py{place}"
    assert message in problem.message
    assert [view.name for view in repository.views] == ["places"]


def test_a_file_of_another_modules_name_is_told_apart(repository_copy: Path) -> None:
    (repository_copy / "places.py").write_text(PLACES)
    (repository_copy / "user_journal.py").rename(repository_copy / "json.py")
    (problem,) = read_repository(repository_copy).problems
    assert problem.place == "feast_repo/json.py"
    assert "another module is called json" in problem.message


def test_every_view_says_where_it_is_declared(repository_copy: Path) -> None:
    (view,) = read_repository(repository_copy).views
    assert view.place == "feast_repo/user_journal.py:19"


def test_names_are_taken_from_the_module_that_the_import_says(repository_copy: Path) -> None:
    for team, key in (("team_a", "person_id"), ("team_b", "account_id")):
        folder = repository_copy / team
        folder.mkdir()
        (folder / "__init__.py").write_text("")
        (folder / "entities.py").write_text(TEAM_ENTITIES.format(team=team, key=key))
        (folder / "views.py").write_text(TEAM_VIEWS.format(team=team))
    found = {view.name: (view.join_keys, view.table) for view in read_repository(repository_copy).views}
    assert found["of_team_a"] == ((("person_id", "INT64"),), "gold.team_a")
    assert found["of_team_b"] == ((("account_id", "INT64"),), "gold.team_b")


def test_what_feastignore_names_is_not_read(repository_copy: Path) -> None:
    before = read_repository(repository_copy).digest
    (repository_copy / "scratch.py").write_text("this is no Python")
    assert read_repository(repository_copy).problems
    (repository_copy / ".feastignore").write_text("scratch.py\n")
    after = read_repository(repository_copy)
    assert (after.problems, after.digest == before) == ((), False)


def test_the_project_may_be_named_through_the_environment(
    repository_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = repository_copy / "feature_store.yaml"
    settings.write_text(settings.read_text().replace("project: terrane$", "project: fraud_${FEATURE_ENV}$"))
    with pytest.raises(RepositoryError, match=r"fraud_\$\{FEATURE_ENV\} names a variable that is not set"):
        FeastResource(repo_path=str(repository_copy)).repository()
    monkeypatch.setenv("FEATURE_ENV", "staging")
    assert FeastResource(repo_path=str(repository_copy)).repository().project == "fraud_staging"


@pytest.fixture
def staging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TERRANE_SUFFIX", raising=False)
    monkeypatch.setenv("TERRANE_ENVIRONMENT", "staging")


@pytest.mark.usefixtures("staging")
def test_an_environment_has_a_project_and_tables_of_its_own_and_the_assets_of_all(repository_copy: Path) -> None:
    repository = FeastResource(repo_path=str(repository_copy)).repository()
    (view,) = repository.views
    assert (repository.project, view.schema) == ("terrane__staging", "gold__staging")
    assert (view.table, view.relation) == (
        "gold__staging.user_journal_features",
        '"gold__staging".user_journal_features',
    )
    assert (view.upstream, view.problem) == ((("gold", "user_journal_features"),), "")


@pytest.mark.usefixtures("staging")
@pytest.mark.parametrize("source", ['table="gold.places"', 'query="select * from gold__dev.places"'])
def test_a_view_that_reads_another_environment_stops_alone_in_words(repository_copy: Path, source: str) -> None:
    (repository_copy / "places.py").write_text(PLACES.replace('table="gold.places"', source))
    places, journal = read_repository(repository_copy).views
    assert "which TERRANE_ENVIRONMENT=staging has not: leave the schema out" in places.problem
    assert journal.problem == ""


def test_a_suffix_of_another_environment_is_refused(repository_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERRANE_ENVIRONMENT", "staging")
    monkeypatch.setenv("TERRANE_SUFFIX", "")
    with pytest.raises(RepositoryError, match="TERRANE_SUFFIX is '', and names end in '__staging'"):
        read_repository(repository_copy)


def test_the_text_is_written_once_and_read_by_everybody_until_a_byte_changes(
    repository_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read_repository(repository_copy)

    def nobody(folder: Path) -> dict[str, object]:
        raise AssertionError(f"Feast was asked for {folder}")

    monkeypatch.setattr(read, "_ask_feast", nobody)
    assert read_repository(repository_copy) == first
    (repository_copy / "entities.py").write_text("# nobody\n")
    with pytest.raises(AssertionError, match="Feast was asked"):
        read_repository(repository_copy)


def test_a_folder_that_cannot_be_written_is_read_all_the_same(
    repository_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(repository_copy / ".terrane", ignore_errors=True)
    (repository_copy / ".terrane").write_text("no folder")
    (repository_copy / "entities.py").write_text((repository_copy / "entities.py").read_text() + "# changed\n")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    assert [view.name for view in read_repository(repository_copy).views] == ["user_journal_features"]
    assert list((tmp_path / "own").rglob("*.json"))


def test_a_process_of_its_own_reads_the_same_as_one_that_has_imported_feast(
    repository_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = read._ask_feast(repository_copy)
    monkeypatch.setattr(read, "feast_is_imported", lambda: False)
    assert read._ask_feast(repository_copy) == here
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RepositoryError, match="cannot be read by Feast: no reason given"):
        read._ask_feast(repository_copy)


PLACES = """
import feast
from entities import user_entity as who

user_journal_source = feast.data_source.PushSource
source = __import__(
    "feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source", fromlist=["PostgreSQLSource"]
).PostgreSQLSource(name="p", table="gold.places", timestamp_field="seen_at")
places = feast.FeatureView(
    name="places",
    entities=[who],
    schema=[feast.Field(name="tags", dtype=feast.types.Array(feast.types.String))],
    source=source,
)
"""
TEAM_ENTITIES = """
from feast import Entity, ValueType

owner = Entity(name="owner_{team}", join_keys=["{key}"], value_type=ValueType.INT64)
"""
TEAM_VIEWS = """
from feast import FeatureView, Field
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
from feast.types import Int64

from {team}.entities import owner

source = PostgreSQLSource(name="source_{team}", table="gold.{team}", timestamp_field="at")
view = FeatureView(name="of_{team}", entities=[owner], schema=[Field(name="a", dtype=Int64)], source=source)
"""


def test_a_folder_without_settings_is_refused_with_the_variable_to_set(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match=r"feature_store.yaml does not exist: set FEAST_REPO_PATH"):
        read_repository(tmp_path)


def test_an_unknown_view_is_refused_with_the_names_there_are(repository_copy: Path) -> None:
    with pytest.raises(RepositoryError, match="no feature view 'x'; there are user_journal_features"):
        read_repository(repository_copy).view("x")


def test_the_environment_names_the_repository_before_the_default_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FEAST_REPO_PATH", raising=False)
    assert locate(tmp_path / "a") == tmp_path / "a"
    monkeypatch.setenv("FEAST_REPO_PATH", str(tmp_path / "b"))
    assert locate(tmp_path / "a") == tmp_path / "b"


def test_a_views_span_and_tags_are_read(repository_copy: Path) -> None:
    (view,) = read_repository(repository_copy).views
    assert (view.ttl, view.tags) == (timedelta(days=3650), {"domain": "features"})


SERVICES = """
import feast
from feast import FeatureService, RequestSource
from feast.on_demand_feature_view import on_demand_feature_view
from user_journal import user_journal_features
import user_journal

asked = RequestSource(name="asked", schema=[])


@on_demand_feature_view(sources=[user_journal_features, asked], schema=[])
def derived(inputs):
    return inputs


some = user_journal.user_journal_features[["avg_mood"]]
renamed = some.with_name("other").with_join_key_map({"user_id": "friend"})
a = FeatureService(name="projected", features=[some])
b = feast.FeatureService(name="renamed", features=[renamed])
c = FeatureService(name="derived", features=[derived])
"""


def test_a_services_views_are_found_through_projections_names_and_on_demand_views(repository_copy: Path) -> None:
    (repository_copy / "services.py").write_text(SERVICES)
    found = {service.name: service.views for service in read_repository(repository_copy).services}
    assert found == dict.fromkeys(["analyzer", "projected", "renamed", "derived"], ("user_journal_features",))
