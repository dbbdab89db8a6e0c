"""Ports and passwords are made once, kept from other eyes, and given way to whoever was there first."""

from __future__ import annotations

import json
import socket

import pytest

from terrane_cli.laptop.settings import Settings, databases
from terrane_cli.project import Project

pytestmark = pytest.mark.unit

OF_LIBRARIES = ("FEATURE_SERVER_", "TERRANE_SPATIAL_")
OF_OTHERS = ("_SSLMODE", "_SSLROOTCERT", "_BUCKET", "_PREFIX", "_USERNAME", "_TLS", "_CA_FILE", "_CA_BUNDLE")


def test_settings_stay_the_same_from_one_command_to_the_next(project: Project) -> None:
    first = Settings.load(project)
    assert Settings.load(project) == first
    assert len(set(first.ports.values())) == len(first.ports)
    assert len(set(first.passwords.values())) == len(first.passwords)


def test_only_their_owner_reads_the_passwords(project: Project) -> None:
    Settings.load(project)
    assert (project.state / "settings.json").stat().st_mode & 0o777 == 0o600


def test_a_location_that_was_added_gets_a_port_and_the_others_keep_theirs(project: Project) -> None:
    before = Settings.load(project)
    folder = project.root / "code_locations/climate"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("")
    after = Settings.load(project)
    assert "climate" in after.ports
    assert {name: after.ports[name] for name in before.ports} == before.ports


def test_a_port_that_somebody_took_is_left_to_them(project: Project) -> None:
    settings = Settings.load(project)
    taken = settings.ports["webserver"]
    with socket.create_server(("127.0.0.1", taken)):
        assert settings.move_taken_ports(running=[]) == ["webserver"]
        assert settings.ports["webserver"] > taken


def test_the_port_of_our_own_running_process_stays(project: Project) -> None:
    settings = Settings.load(project)
    with socket.create_server(("127.0.0.1", settings.ports["webserver"])):
        assert settings.move_taken_ports(running=["webserver"]) == []


def test_processes_are_given_every_variable_of_the_table(project: Project) -> None:
    from terrane.environment import VARIABLES

    given = Settings.load(project).environment(project)
    # What has a default, and is for clusters; and how the feature server and spatial runs are to be other than that.
    optional = {v.name for v in VARIABLES if v.name.startswith(OF_LIBRARIES)} - {"FEATURE_SERVER_URL"}
    # What servers of others want: TLS, users, buckets of other names.
    optional |= {v.name for v in VARIABLES if v.name.endswith(OF_OTHERS)}
    # And what a location alone is given, that wants a database of its own.
    optional |= {v.name for v in VARIABLES if v.name.startswith("LOCATION_")}
    assert {v.name for v in VARIABLES} - set(given) <= {"AWS_DEFAULT_REGION", "TERRANE_EXECUTOR", "UI_URL"} | optional


def test_an_environment_has_a_database_of_dagsters_own_and_shares_the_others(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = Settings.load(project).environment(project)
    monkeypatch.setenv("TERRANE_ENVIRONMENT", "dev")
    given = Settings.load(project).environment(project)
    assert {name: value for name, value in given.items() if bare.get(name) != value} == {
        "TERRANE_ENVIRONMENT": "dev",
        "TERRANE_SUFFIX": "__dev",
        "DAGSTER_POSTGRES_DB": "dagster__dev",
    }
    assert databases(project)["dagster"] == {"dagster__dev": ()}
    monkeypatch.delenv("TERRANE_ENVIRONMENT")
    assert databases(project)["dagster"] == {bare["DAGSTER_POSTGRES_DB"]: ()} == {"dagster": ()}


def test_the_first_day_does_not_move(project: Project) -> None:
    file = project.state / "settings.json"
    Settings.load(project)
    kept = json.loads(file.read_text()) | {"first_day": "2020-02-03"}
    file.write_text(json.dumps(kept))
    assert Settings.load(project).environment(project)["INGESTION_START_DATE"] == "2020-02-03"


def test_a_location_is_given_what_it_alone_reads_unless_the_caller_says_otherwise(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "  SOILS_URL: {meaning: m, value: 'http://soils'}\n  SOILS_KEY: {meaning: m, secret: true}\n"
    (project.location_folder("soils") / "location.yaml").write_text(f"kind: plain\nvariables:\n{said}")
    (project.location_folder("hydrology") / "location.yaml").write_text("kind: plain\n")
    settings = Settings.load(project)
    assert settings.location_environment(project, "soils") == {"SOILS_URL": "http://soils"}
    assert settings.location_environment(project, "hydrology") == {}
    monkeypatch.setenv("SOILS_URL", "http://elsewhere")
    assert settings.location_environment(project, "soils") == {"SOILS_URL": "http://elsewhere"}


def test_a_location_has_a_database_of_its_own_where_it_wants_one(project: Project) -> None:
    (project.location_folder("soils") / "location.yaml").write_text("kind: plain\ndatabase: postgis\n")
    (project.location_folder("hydrology") / "location.yaml").write_text("kind: plain\n")
    settings = Settings.load(project)
    assert databases(project)["location_soils"] == {"location_soils": ("postgis",)}
    given = settings.location_environment(project, "soils")
    assert given["LOCATION_USER"] == given["LOCATION_DB"] == "location_soils"
    assert given["LOCATION_PASSWORD"] == settings.passwords["location_soils"]
    assert settings.location_environment(project, "hydrology") == {}
    assert "location_soils" not in " ".join(settings.environment(project).values())
    settings.forget("soils")
    assert "location_soils" not in settings.passwords
    assert "soils" not in settings.ports
