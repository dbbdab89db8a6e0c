"""The production profile refuses what must not be open or unknown, and says which value it is."""

from __future__ import annotations

import pytest
from tests.charts.conftest import Rendering
from tests.charts.rendering import LOCATIONS, Render

from terrane_cli.commands import CliError

pytestmark = pytest.mark.unit
ABOUT_OUR_CHARTS_ALONE = True

FIRST = "dagster.dagster-user-deployments.deployments[0].image"
PLACE = f"{FIRST} (analytics)"
CELERY = "dagster.runLauncher.config.celeryK8sRunLauncher.image"
ANNOTATIONS = "dagster.ingress.annotations"
MIDDLEWARE = r"traefik\.ingress\.kubernetes\.io/router\.middlewares"
NGINX = r"nginx\.ingress\.kubernetes\.io/auth-url"
REFUSED = {
    "a tag of development": ([f"{FIRST}.tag=dev"], f'{PLACE}: tag "dev" is of development'),
    "the tag of the UI": (["dagster.dagsterWebserver.image.tag=dev"], 'dagsterWebserver.image: tag "dev"'),
    "the tag of the daemon": (["dagster.dagsterDaemon.image.tag=dev"], 'dagsterDaemon.image: tag "dev"'),
    "the tag of hooks": (["platformImage.tag=dev"], 'platformImage: tag "dev"'),
    "the tag of the feature server": (["featureServer.image.tag=dev"], 'featureServer.image: tag "dev"'),
    "the tag of workers": (["dagster.runLauncher.type=CeleryK8sRunLauncher", f"{CELERY}.tag=dev"], f"{CELERY}: tag"),
    "the tag of the sample": (["source.sample.enabled=true"], 'source.sample.image: tag "dev"'),
    "a registry of nobody": (["global.imageRegistry="], f"{PLACE}: terrane/analytics is of a registry where the"),
    "hooks of nobody": (["global.imageRegistry="], "platformImage: docker.io/terrane/dagster is of a registry"),
    "features for everybody": (["featureServer.accessSecret="], "without featureServer.accessSecret everybody reads"),
    "a UI without login": (["ui.login="], "ui.login says who asks for one: alb, external, nginx, traefik"),
    "a login without its class": (["dagster.ingress.ingressClassName="], "ui.login is traefik, so name the class"),
    "a login without its annotation": ([f"{ANNOTATIONS}.{MIDDLEWARE}="], "which is asked for by traefik.ingress"),
    "the annotations of another": (["ui.login=nginx"], "which is asked for by nginx.ingress.kubernetes.io/auth-url or"),
    "a first day that moves": (["source.startDate="], "source.startDate: name the first day"),
    "the image of a store": (["postgis.enabled=true"], 'postgis.image: tag "dev"'),
    "the image of a pooler": (
        ["postgres.enabled=true", "postgres.pooler.enabled=true"],
        'postgres.pooler.image: tag "dev"',
    ),
    "a store without repairs": (["minio.enabled=true"], "minio: its source is archived and gets no repairs"),
}
TAKEN = {
    "an image by digest": [f"{FIRST}.digest=sha256:{'0' * 64}", f"{FIRST}.tag="],
    "repositories of one's own": [
        "global.imageRegistry=",
        *(
            f"dagster.dagster-user-deployments.deployments[{n}].image.repository=ghcr.io/team/x{n}"
            for n in range(len(LOCATIONS))
        ),
        *(f"dagster.{part}.image.repository=ghcr.io/team/y" for part in ("dagsterWebserver", "dagsterDaemon")),
        *(f"{image}.registry=ghcr.io" for image in ("platformImage", "featureServer.image")),
        *(f"{image}.repository=team/z" for image in ("platformImage", "featureServer.image")),
    ],
    "features that stay inside": ["featureServer.accessSecret=", "featureServer.ingress.enabled=false"],
    "a UI that stays inside": ["ui.login=", "dagster.ingress.enabled=false"],
    "a login in front": ["ui.login=external", "dagster.ingress.ingressClassName=", f"{ANNOTATIONS}.{MIDDLEWARE}="],
    "nginx with its own": ["ui.login=nginx", f"{ANNOTATIONS}.{NGINX}=https://login.example.com"],
    "a store, knowingly": ["minio.enabled=true", "minio.image.tag=v1", "production.acceptUnpatchedMinio=true"],
}


@pytest.mark.parametrize("what", REFUSED)
def test_production_refuses(what: str, rendered: Rendering) -> None:
    settings, told = REFUSED[what]
    with pytest.raises(CliError) as refused:
        rendered("production", *settings)
    assert "production.enabled refuses:\n" in str(refused.value)
    assert told in str(refused.value)


@pytest.mark.parametrize("what", TAKEN)
def test_production_takes(what: str, rendered: Rendering) -> None:
    assert rendered("production", *TAKEN[what]).names("Deployment") >= {"terrane-dagster-webserver"}


def test_all_that_is_refused_is_told_at_once(rendered: Rendering) -> None:
    with pytest.raises(CliError) as refused:
        rendered("production", f"{FIRST}.tag=dev", "ui.login=", "minio.enabled=true")
    lines = [line.strip() for line in str(refused.value).splitlines()]
    assert [line.split(":")[0] for line in lines if line.startswith("- ")] == [
        f"- {PLACE}",
        "- minio.image",
        "- dagster.ingress",
        "- minio",
    ]


def test_no_image_of_production_is_of_development_or_of_nobody(rendered: Rendering) -> None:
    images = _images(rendered("production"))
    assert [image for image in images if not image.startswith("registry.example.com/")] == []
    ours = {image for image in images if "/terrane/" in image}
    assert {image.rsplit("/", 1)[1] for image in ours} == {f"{name}:v1" for name in (*LOCATIONS, "dagster")}


def test_elsewhere_nothing_of_it_is_asked(rendered: Rendering) -> None:
    kind = rendered("kind")
    assert {"docker.io/terrane/features:dev", "terrane/analytics:dev"} <= _images(kind)
    assert kind.names("Ingress") == {"terrane-features", "terrane-dagster-ingress"}


def _images(render: Render) -> set[str]:
    return {container["image"] for _, container in render.containers()}
