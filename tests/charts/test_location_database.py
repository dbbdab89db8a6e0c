"""A location that wants a database of its own has one: a role in a store, a Secret, and variables nobody else has."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.charts.conftest import Rendering
from tests.charts.rendering import Command, Render, profile_values, template

from terrane_cli.locations import chart
from terrane_cli.locations.description import read_locations
from terrane_cli.locations.words import Server
from terrane_cli.project import Project

pytestmark = pytest.mark.unit

NAME = Project.here().locations[0]
ROLE, SECRET, ADDRESS = f"location_{NAME}", f"terrane-{NAME}-database", f"terrane-{NAME}-database-address"
STORES = {Server.POSTGRES: "terrane-postgres", Server.POSTGIS: "terrane-postgis"}


@pytest.fixture(scope="module", params=list(Server))
def server(request: pytest.FixtureRequest) -> Server:
    return request.param


@pytest.fixture(scope="module")
def render(server: Server, project: Project, charts: Path, tmp_path_factory: pytest.TempPathFactory) -> Render:
    """The platform in which one location's location.yaml says `database`."""
    locations, _ = read_locations(project)
    locations[NAME] = locations[NAME].model_copy(update={"database": server})
    file = tmp_path_factory.mktemp("values") / "locations.yaml"
    file.write_text(chart.values(locations))
    return template(Command(charts / "platform", (*profile_values(charts, "kind"), file)))


def test_the_store_makes_its_role_and_database(render: Render, server: Server) -> None:
    for one, store in STORES.items():
        provisioning = yaml.safe_dump([o for o in render.objects if o["metadata"]["name"].startswith(store)])
        assert (ROLE in provisioning, SECRET in provisioning) == (one == server, one == server)


def test_it_alone_is_given_the_address_and_the_password(render: Render, server: Server, project: Project) -> None:
    address = render.get("ConfigMap", ADDRESS)["data"]
    assert (address["LOCATION_HOST"], address["LOCATION_PORT"]) == (STORES[server], "5432")
    assert address["LOCATION_USER"] == address["LOCATION_DB"] == ROLE
    assert (address["LOCATION_SSLMODE"], address["LOCATION_SSLROOTCERT"]) == ("prefer", "")
    assert len(render.secrets()[SECRET]["LOCATION_PASSWORD"]) == 32
    for name in project.locations:
        given = render.container_context(name)["k8s"]
        variables = {v["name"]: v["valueFrom"]["secretKeyRef"]["name"] for v in given["env"]}
        assert (ADDRESS in given["env_config_maps"]) == (name == NAME)
        assert variables.get("LOCATION_PASSWORD") == (SECRET if name == NAME else None)


def test_its_password_is_kept_when_the_release_goes(render: Render) -> None:
    assert render.get("Secret", SECRET)["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_no_other_pod_changes(render: Render, rendered: Rendering) -> None:
    before, after = dict(rendered("kind").pods()), dict(render.pods())
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert {name for name in changed if not name.startswith("Job/")} == {
        f"Deployment/terrane-dagster-user-deployments-{NAME}"
    }


def test_kubernetes_takes_all_of_it(render: Render) -> None:
    assert render.refused() == {}
