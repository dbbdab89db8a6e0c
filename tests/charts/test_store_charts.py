"""The stores' charts alone, which need nothing of others."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.charts.rendering import Command, Render, template

pytestmark = pytest.mark.unit

STORES = ("postgres", "redis", "minio")


@pytest.fixture(params=STORES)
def chart(request: pytest.FixtureRequest, own_charts: Path) -> Path:
    return own_charts / request.param


@pytest.fixture
def alone(chart: Path) -> Render:
    return template(Command(chart, release="one"))


def test_its_objects_are_such_as_kubernetes_and_its_owners_want(alone: Render) -> None:
    assert alone.refused() == {}
    assert alone.unconfined() == []
    assert alone.unlimited() == []
    assert {o["kind"] for o in alone.objects} >= {"StatefulSet", "Service", "Secret"}


def test_it_can_be_installed_twice(alone: Render, chart: Path) -> None:
    second = template(Command(chart, release="two"))
    first, others = ({(o["kind"], o["metadata"]["name"]) for o in r.objects} for r in (alone, second))
    assert first & others == set()
    assert second.names("StatefulSet") == {f"two-{chart.name}"}


def test_its_password_is_made_anew_each_time(alone: Render, chart: Path) -> None:
    name = f"one-{chart.name}"
    first, second = (r.secrets()[name] for r in (alone, template(Command(chart, release="one", turn=2))))
    # MinIO's user has the same name everywhere.
    changed = {key for key in first if first[key] != second[key]}
    assert changed == {key for key in first if key.endswith("-password")} != set()


def test_it_takes_a_secret_that_exists(chart: Path) -> None:
    given = template(Command(chart, settings=("auth.existingSecret=mine",), release="one"))
    assert given.of("Secret") == []
    named = {
        v["valueFrom"]["secretKeyRef"]["name"]
        for _, container in given.containers()
        for v in container["env"]
        if "valueFrom" in v
    }
    assert named == {"mine"}


def test_without_a_volume_it_claims_none(chart: Path) -> None:
    (store,) = template(Command(chart, settings=("persistence.enabled=false",), release="one")).of("StatefulSet")
    assert "volumeClaimTemplates" not in store["spec"]
    assert {"name": "data", "emptyDir": {}} in store["spec"]["template"]["spec"]["volumes"]


def test_postgres_makes_roles_databases_and_extensions_and_waits_for_them(own_charts: Path) -> None:
    settings = ("roles.maps.passwordKey=maps-password", "roles.maps.databases.maps={postgis}")
    made = template(Command(own_charts / "postgres", settings=settings, release="one"))
    script = made.get("ConfigMap", "one-postgres")["data"]["ensure.sh"].splitlines()
    assert script[-3:] == ["role maps PASSWORD_OF_MAPS", "database maps maps", "extension maps postgis"]
    assert "maps-password" in made.secrets()["one-postgres"]
    container = made.of("StatefulSet")[0]["spec"]["template"]["spec"]["containers"][0]
    assert "/tmp/ensured" in container["startupProbe"]["exec"]["command"][-1]
