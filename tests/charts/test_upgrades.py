"""An upgrade repairs what the release before it left: it goes by its own configuration, and loses no password."""

from __future__ import annotations

from typing import Any

import pytest
from tests.charts.conftest import Rendering
from tests.charts.rendering import PROFILES, Object, Render

pytestmark = pytest.mark.unit

PURPOSES = ("dagster", "warehouse", "spatial", "redis", "s3", "source", "postgres", "postgis", "broker")
# Of stores, those that write what they are given into a file of their own.
SUMS_OF_STORES: dict[str, set[str]] = {
    "postgres": {"pooler"},
    "postgis": set(),
    "minio": set(),
    "redis": {"configuration"},
    "broker": {"configuration"},
    "source": {"credentials"},
}
GIVEN = tuple(f"credentials.{purpose}.create=false" for purpose in (*PURPOSES, "celery"))


def test_the_daemon_migrates_by_its_own_image_and_this_releases_configuration(every: Render) -> None:
    daemon = every.get("Deployment", "terrane-dagster-daemon")
    container, _ = _pod(daemon)["containers"]
    assert container["command"][:2] == ["/bin/bash", "-c"]
    assert container["command"][2] == (
        "rm -f /tmp/migrated && dagster instance migrate && touch /tmp/migrated"
        " && exec dagster-daemon run -w /dagster-workspace/workspace.yaml"
    )
    mounted = {m["mountPath"]: m for m in container["volumeMounts"]}
    assert mounted["/opt/dagster/dagster_home/dagster.yaml"]["name"] == "dagster-instance"
    volumes = {v["name"]: v for v in _pod(daemon)["volumes"]}
    assert volumes["dagster-instance"]["configMap"]["name"] in every.names("ConfigMap")
    # Never two at a time, and as long as it takes.
    assert daemon["spec"]["strategy"] == {"type": "Recreate"}
    startup = container["startupProbe"]
    assert startup["exec"]["command"] == ["test", "-e", "/tmp/migrated"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == 3600
    assert [name for name in every.names("Job") if "migrate" in name] == []


@pytest.mark.parametrize("profile", PROFILES)
def test_two_renders_with_the_same_secrets_are_equal(profile: str, rendered: Rendering) -> None:
    given = (*GIVEN, "source.startDate=2026-01-01")
    first, second = (rendered(profile, *given, turn=turn).objects for turn in (1, 2))
    assert first == second
    assert [o for o in first if o["kind"] == "Secret"] == []


@pytest.mark.parametrize("profile", PROFILES)
def test_an_upgrade_renders_what_an_install_does(profile: str, rendered: Rendering) -> None:
    given = (*GIVEN, "source.startDate=2026-01-01")
    installed, upgraded = rendered(profile, *given), rendered(profile, *given, upgrade=True)
    assert _by_name(upgraded) == _by_name(installed)


def test_secrets_stay_when_they_are_no_longer_made_and_when_the_release_goes(rendered: Rendering) -> None:
    made = rendered("celery").of("Secret")
    assert {o["metadata"]["name"] for o in made} == {f"terrane-{purpose}" for purpose in (*PURPOSES, "celery")}
    for secret in made:
        assert secret["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}, secret["metadata"]["name"]


def test_a_superusers_secret_is_made_where_its_store_is(rendered: Rendering) -> None:
    off = ("postgis.enabled=false", "spatial.host=db.example.com")
    assert rendered("kind").names("Secret") - rendered("kind", *off).names("Secret") == {"terrane-postgis"}
    assert "terrane-postgres" not in rendered("kind", "credentials.postgres.create=false").names("Secret")


@pytest.mark.parametrize(
    ("settings", "pods"),
    [
        (["warehouse.host=db.example.com"], {"terrane-feature-server"}),
        (["onlineStore.port=6380"], {"terrane-feature-server"}),
        (["featureServer.accessSecret=keys"], {"terrane-feature-server"}),
        (["s3.region=eu-central-1"], set()),
    ],
)
def test_a_changed_address_replaces_the_pods_of_ours_that_read_it(
    settings: list[str], pods: set[str], rendered: Rendering
) -> None:
    before, after = (_templates(rendered("kind", *GIVEN, "source.startDate=2026-01-01", *s)) for s in ([], settings))
    assert {name for name in before if before[name] != after[name] and "dagster" not in name} == pods


def test_a_changed_secret_replaces_the_pods_of_ours_that_read_it(rendered: Rendering) -> None:
    # Two renders that make their Secrets have different ones.
    first, second = (rendered("kind", "source.startDate=2026-01-01", turn=turn) for turn in (1, 2))
    before, after = (_annotations(render) for render in (first, second))
    assert {name for name in before if before[name] != after[name]} >= {"terrane-feature-server", "terrane-source"}
    same = [*(f"credentials.{p}.create=false" for p in ("warehouse", "redis", "source")), "source.startDate=2026-01-01"]
    first, second = (rendered("kind", *same, turn=turn) for turn in (1, 2))
    ours = {"terrane-feature-server", "terrane-source"}
    assert [_annotations(first)[name] == _annotations(second)[name] for name in ours] == [True, True]


def test_every_pod_is_replaced_with_what_it_reads_at_its_start(every: Render, profile: str) -> None:
    found = {
        name: {key.removeprefix("checksum/") for key in annotations or {} if key.startswith("checksum/")}
        for name, annotations in _annotations(every).items()
    }
    access = {"access"} if profile == "production" else set()
    for name, sums in found.items():
        if "user-deployments" in name:
            assert sums == {"dagster-user-deployment"}, name
        elif "celery-workers" in name:
            assert sums == {"dagster-instance"}, name
        elif "webserver" in name or "daemon" in name:
            assert sums == {"dagster-instance", "dagster-workspace"}, name
        elif name == "terrane-feature-server":
            assert sums == {"addresses", "credentials", *access}
        else:
            assert sums == SUMS_OF_STORES[name.removeprefix("terrane-")], name


def _pod(workload: Object) -> Object:
    return workload["spec"]["template"]["spec"]


def _by_name(render: Render) -> dict[tuple[str, str], Object]:
    return {(o["kind"], o["metadata"]["name"]): o for o in render.objects}


def _templates(render: Render) -> dict[str, Any]:
    return {o["metadata"]["name"]: o["spec"]["template"] for o in render.of("Deployment", "StatefulSet")}


def _annotations(render: Render) -> dict[str, Any]:
    return {name: pod["metadata"].get("annotations") for name, pod in _templates(render).items()}
