"""The repository is read without Feast, and what cannot be read so is refused with file and line."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from terrane_features.repository.model import RepositoryError
from terrane_features.repository.read import locate, read_repository

pytestmark = pytest.mark.unit


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


def test_two_files_may_use_one_variable_name_for_different_sources(repository_copy: Path) -> None:
    (repository_copy / "places.py").write_text(
        """
import feast
from entities import user_entity as who

user_journal_source = feast.PostgreSQLSource(name="p", table="gold.places", timestamp_field="seen_at")
places = feast.FeatureView(
    name="places",
    entities=[who],
    schema=[feast.Field(name="tags", dtype=feast.types.Array(feast.types.String))],
    source=user_journal_source,
)
"""
    )
    places, journal = read_repository(repository_copy).views
    assert (places.table, journal.table) == ("gold.places", "gold.user_journal_features")
    assert places.join_keys == (("user_id", "INT64"),)
    assert places.features[0].dtype == "Array(String)"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name="user_journal_features"', 'name="user_" + "x"', r"user_journal\.py:\d+: name= must be a plain string"),
        (
            'table="gold.user_journal_features"',
            'query="select 1"',
            r"user_journal\.py:\d+: PostgreSQLSource.*no table=",
        ),
        ("gold.user_journal_features", "user_journal_features", r"lacks its schema; write gold\.user_journal_features"),
        ("source=user_journal_source", "source=elsewhere", r"source= of FeatureView.*nothing this repository declares"),
        (
            "    schema=[",
            "    schema=[*more, ",
            r"user_journal\.py:\d+: schema= of FeatureView.*nothing this repository",
        ),
        ("user_journal_source = ", "user_journal_source = = ", r"user_journal\.py:\d+: invalid syntax"),
    ],
)
def test_what_cannot_be_read_is_named_with_file_and_line(
    repository_copy: Path, old: str, new: str, message: str
) -> None:
    file = repository_copy / "user_journal.py"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(RepositoryError, match=message):
        read_repository(repository_copy)


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


@pytest.mark.parametrize(
    ("written", "read"),
    [("timedelta(hours=1, minutes=30)", timedelta(minutes=90)), ("timedelta(0)", None), ("timedelta(days=DAYS)", None)],
)
def test_a_span_that_is_no_plain_number_counts_as_none(
    repository_copy: Path, written: str, read: timedelta | None
) -> None:
    file = repository_copy / "user_journal.py"
    file.write_text(file.read_text().replace("timedelta(days=3650)", written))
    assert read_repository(repository_copy).views[0].ttl == read


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


def test_a_service_of_something_unknown_is_refused_with_its_line(repository_copy: Path) -> None:
    (repository_copy / "services.py").write_text(
        'from feast import FeatureService\n\nx = FeatureService(name="x", features=[gone])\n'
    )
    with pytest.raises(RepositoryError, match=r"services\.py:3: features= holds something that is no feature view"):
        read_repository(repository_copy)
