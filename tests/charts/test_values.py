"""What a person may set, and what is refused with its name."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.charts.conftest import Rendering
from tests.charts.rendering import HERE, SETTINGS, Command, template

from terrane_cli.commands import CliError

pytestmark = pytest.mark.unit
ABOUT_OUR_CHARTS_ALONE = True

FIRST = "dagster.dagster-user-deployments.deployments[0]"
REFUSED = {
    "featureServer.replica=3": "/featureServer': additional properties 'replica'",
    "globals.imageRegistry=x": "additional properties 'globals'",
    "global.fullnameOverride=x": "/global': additional properties 'fullnameOverride'",
    "global.imageRegistry=https://x": "/global/imageRegistry",
    "execution.executor=celery": "/execution/executor': value must be one of 'in_process', 'k8s_job', 'celery_k8s'",
    "execution.executor=celery_k8s": "/dagster/runLauncher/type': value must be 'CeleryK8sRunLauncher'",
    "source.startDate=yesterday": "/source/startDate",
    "warehouse.port=http": "/warehouse/port': got string, want integer",
    "platformImage.tag=latest": "/platformImage/tag",
    "credentials.warehouse.creates=false": "/credentials/warehouse': additional properties 'creates'",
    "dagster.postgresql.enabled=true": "/dagster/postgresql/enabled': value must be false",
    "dagster.rabbitmq.enabled=true": "/dagster/rabbitmq/enabled': value must be false",
    "dagster.redis.internal=true": "/dagster/redis/internal': value must be false",
    "dagster.runLauncher.type=K8RunLauncher": "/dagster/runLauncher/type",
    f"{FIRST}.envSecret=x": "/deployments/0': additional properties 'envSecret'",
    f"{FIRST}.name=Analytics": "/deployments/0/name': 'Analytics' does not match",
    f"{FIRST}.name=my_location": "/deployments/0/name': 'my_location' does not match",
    f"{FIRST}.image.tags=x": "/deployments/0/image': additional properties 'tags'",
    f"{FIRST}.image.tag=latest": "/deployments/0/image/tag",
    f"{FIRST}.image.tag=": "/deployments/0/image/tag': minLength",
    f"{FIRST}.dagsterApiGrpcArgs={{-m,a.definitions}}": "/deployments/0': 'oneOf' failed",
    f"{FIRST}.resources.request.cpu=1": "/deployments/0/resources': additional properties 'request'",
    f"{FIRST}.readinessProbe.period=1": "/deployments/0/readinessProbe': additional properties 'period'",
    f"{FIRST}.env[0].valueFrom.secretKeyRefs.name=x": "/valueFrom': additional properties 'secretKeyRefs'",
    "postgis.persistance.size=3Gi": "additional properties 'persistance'",
    "postgres.roles.dagster.password=x": "/roles/dagster': additional properties 'password'",
    "redis.auth.password=x": "/auth': additional properties 'password'",
    "minio.persistence.size=2GB": "/persistence/size",
}


@pytest.mark.parametrize("setting", REFUSED)
def test_a_wrong_value_is_refused_with_its_name(setting: str, rendered: Rendering) -> None:
    with pytest.raises(CliError) as refused:
        rendered("kind", setting)
    assert REFUSED[setting] in str(refused.value).replace("dagster/dagster-user-deployments/", "")


@pytest.mark.parametrize(
    ("lacks", "told"),
    [
        ("name", "missing property 'name'"),
        ("image", "missing property 'image'"),
        ("port", "missing property 'port'"),
        ("codeServerArgs", "missing property 'codeServerArgs'"),
    ],
)
def test_a_location_without_what_it_needs_is_refused(lacks: str, told: str, charts: Path, tmp_path: Path) -> None:
    locations = yaml.safe_load((charts / "platform/values/locations.yaml").read_text())
    del locations["dagster"]["dagster-user-deployments"]["deployments"][2][lacks]
    (tmp_path / "locations.yaml").write_text(yaml.safe_dump(locations))
    with pytest.raises(CliError) as refused:
        template(Command(charts / "platform", (tmp_path / "locations.yaml",)))
    assert "/deployments/2'" in str(refused.value)
    assert told in str(refused.value)


def test_a_profile_that_is_none_is_named(charts: Path) -> None:
    with pytest.raises(CliError, match=r"values/nowhere\.yaml: no such file"):
        template(Command(charts / "platform", (charts / "platform/values/nowhere.yaml",)))


@pytest.mark.parametrize("key", [
    "warehouse.host", "spatial.host", "onlineStore.host", "s3.endpoint", "source.url", "platformImage.tag",
    "featureServer.image.tag", "featureServer.ingress.host", "dagster.postgresql.postgresqlHost",
    "dagster.dagsterWebserver.image.tag", "dagster.dagsterDaemon.image.tag", "dagster.ingress.dagsterWebserver.host",
    "dagster.ingress.readOnlyDagsterWebserver.host",
])  # fmt: skip
def test_what_production_leaves_open_must_be_filled_in(key: str, charts: Path, tmp_path: Path) -> None:
    filled = yaml.safe_load((HERE / "filled.yaml").read_text())
    *parents, last = key.split(".")
    section = filled
    for parent in parents:
        section = section[parent]
    del section[last]
    (tmp_path / "filled.yaml").write_text(yaml.safe_dump(filled))
    values = [charts / "platform/values" / name for name in ("locations.yaml", "production.yaml")]
    with pytest.raises(CliError) as refused:
        template(Command(charts / "platform", (*values, tmp_path / "filled.yaml"), SETTINGS["production"]))
    assert f"at '/{key.replace('.', '/')}'" in str(refused.value)


def test_celery_says_what_it_lacks_where_no_password_is_known(rendered: Rendering) -> None:
    with pytest.raises(CliError, match="there is no terrane-broker or terrane-s3 to make terrane-celery from"):
        rendered("celery", "credentials.broker.create=false")
    own = rendered("celery", "credentials.broker.create=false", "credentials.celery.create=false")
    assert "terrane-celery" not in own.names("Secret")
