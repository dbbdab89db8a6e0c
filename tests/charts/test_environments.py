"""An environment reaches every pod, and a release of one shares the stores of another and nothing in them."""

from __future__ import annotations

import pytest
import yaml
from tests.charts.conftest import Rendering
from tests.charts.rendering import LOCATIONS, Object, Render
from tests.charts.schemas import reason_of_refusal

from terrane import names
from terrane_cli.commands import CliError

pytestmark = pytest.mark.unit

ENVIRONMENT = {"configMapRef": {"name": "terrane-execution-address"}}
# Pods of the stores and of their Jobs, which know of no environment.
STORES = ("postgres", "postgis", "redis", "minio")


def _data(render: Render, purpose: str) -> Object:
    return render.get("ConfigMap", f"terrane-{purpose}-address")["data"]


def test_every_pod_of_the_platform_is_told_its_environment(rendered: Rendering) -> None:
    render = rendered("kind", "global.environment=staging", "postgres.enabled=true")
    assert _data(render, "execution")["TERRANE_ENVIRONMENT"] == "staging"
    untold = {
        owner
        for owner, pod in render.pods()
        if not any(ENVIRONMENT in container.get("envFrom", []) for container in pod["containers"])
    }
    own = {owner for owner in untold if not owner.split("terrane-")[-1].startswith(STORES)}
    # The sample of the product's API is nobody's environment.
    assert own == {"Deployment/terrane-source"}
    for location in LOCATIONS:
        assert "terrane-execution-address" in render.container_context(location)["k8s"]["env_config_maps"]


def test_without_an_environment_there_is_none(rendered: Rendering) -> None:
    told = _data(rendered("default"), "execution")
    assert (told["TERRANE_ENVIRONMENT"], told["TERRANE_AUTOMATION"]) == ("", "")
    assert _data(rendered("default"), "s3")["COMPUTE_LOGS_BUCKET"] == names.COMPUTE_LOGS


def test_staging_shares_the_stores_and_no_name_in_them(rendered: Rendering) -> None:
    staging, own = rendered("staging"), names.Names("staging")
    assert staging.of("StatefulSet") == []
    assert _data(staging, "execution")["TERRANE_ENVIRONMENT"] == own.environment
    assert _data(staging, "s3")["COMPUTE_LOGS_BUCKET"] == own.bucket(names.COMPUTE_LOGS)
    instance = yaml.safe_load(staging.instance())
    assert instance["compute_logs"]["config"]["bucket"] == {"env": "COMPUTE_LOGS_BUCKET"}
    storage = instance["run_storage"]["config"]["postgres_db"]
    assert (storage["hostname"], storage["db_name"]) == ("terrane-postgres-pooler.terrane", own.database(names.DAGSTER))
    hosts = [_data(staging, p)[k] for p, k in (("warehouse", "WAREHOUSE_HOST"), ("spatial", "POSTGRES_HOST"))]
    assert hosts == ["terrane-postgres.terrane", "terrane-postgis.terrane"]
    # Shared, with schemas of an environment in them.
    assert _data(staging, "warehouse")["WAREHOUSE_DB"] == names.WAREHOUSE
    assert [o for o in staging.objects if reason_of_refusal(o)] == []


def test_nothing_runs_by_itself_in_staging_but_what_tidies_up(rendered: Rendering) -> None:
    assert _data(rendered("staging"), "execution")["TERRANE_AUTOMATION"] == "sweeps,failed_runs,cancelled_runs"
    assert _data(rendered("staging", "execution.automation=all"), "execution")["TERRANE_AUTOMATION"] == "all"


def test_two_dagsters_in_one_database_are_refused_in_words(rendered: Rendering) -> None:
    with pytest.raises(CliError, match="set it to dagster__staging"):
        rendered("staging", "dagster.postgresql.postgresqlDatabase=dagster")


@pytest.mark.parametrize("environment", ["Staging", "eu-west", "e" * 17])
def test_an_environment_that_no_name_can_end_in_is_refused(rendered: Rendering, environment: str) -> None:
    with pytest.raises(CliError, match=r"environment"):
        rendered("kind", f"global.environment={environment}")
    with pytest.raises(names.BadName):
        names.Names(environment)


def test_the_stores_let_in_the_pods_of_the_namespaces_that_are_named(rendered: Rendering) -> None:
    shared = rendered("kind", "networkPolicy.namespaces[0]=terrane-staging")
    for name in STORES:
        policy = shared.get("NetworkPolicy", f"terrane-{name}")
        selector = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "terrane-staging"}}}
        assert policy["spec"]["ingress"][0]["from"] == [{"podSelector": {}}, selector]
