"""The stores' charts alone, which need nothing of others."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.charts.rendering import Command, Render, template

from terrane_cli.commands import CliError

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


def test_its_data_is_on_a_claim_that_may_grow_and_stays(chart: Path) -> None:
    small, large = (
        template(Command(chart, settings=(f"persistence.size={size}",), release="one")) for size in ("1Gi", "2Gi")
    )
    name = f"data-one-{chart.name}-0"
    claim = large.get("PersistentVolumeClaim", name)
    assert claim["spec"]["resources"]["requests"] == {"storage": "2Gi"}
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    # Nothing else is replaced for it: a StatefulSet's claim templates could not be.
    assert small.of("StatefulSet") == large.of("StatefulSet")
    pod = large.of("StatefulSet")[0]["spec"]["template"]["spec"]
    assert {"name": "data", "persistentVolumeClaim": {"claimName": name}} in pod["volumes"]


def test_it_takes_a_claim_that_exists(chart: Path) -> None:
    given = template(Command(chart, settings=("persistence.existingClaim=mine",), release="one"))
    assert given.of("PersistentVolumeClaim") == []
    pod = given.of("StatefulSet")[0]["spec"]["template"]["spec"]
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "mine"}} in pod["volumes"]


def test_its_pods_have_a_service_without_an_address(alone: Render, chart: Path) -> None:
    (store,) = alone.of("StatefulSet")
    headless = alone.get("Service", store["spec"]["serviceName"])["spec"]
    assert headless["clusterIP"] == "None"
    assert headless["publishNotReadyAddresses"] is True
    assert headless["selector"] == alone.get("Service", f"one-{chart.name}")["spec"]["selector"]


def test_its_secret_stays_as_its_data_does(alone: Render, chart: Path) -> None:
    secret = alone.get("Secret", f"one-{chart.name}")
    assert secret["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


@pytest.mark.parametrize(
    "change", ["maps.databases.maps={postgis}", "maps.databases.more={hstore}", "maps.secret=another"]
)
def test_a_role_that_is_added_or_changed_touches_no_server(change: str, own_charts: Path) -> None:
    role = ("roles.maps.passwordKey=maps-password", "roles.maps.databases.maps={pg_trgm}")
    none, one, changed = (
        template(Command(own_charts / "postgres", settings=settings, release="one"))
        for settings in ((), role, (*role, f"roles.{change}"))
    )
    assert none.of("StatefulSet") == one.of("StatefulSet") == changed.of("StatefulSet")
    # The Job of the release is another object, for the template of one that is there cannot change.
    first, second = ({n for n in r.names("Job") if not n.endswith("-provision")} for r in (one, changed))
    assert (len(first), len(second), first & second) == (1, 1, set())
    assert none.of("Job") == []


def test_roles_are_made_beside_the_first_start_and_checked_at_the_end(own_charts: Path) -> None:
    settings = ("roles.maps.passwordKey=maps-password", "roles.maps.databases.maps={postgis}")
    made = template(Command(own_charts / "postgres", settings=settings, release="one"))
    hooks = {o["metadata"]["name"]: o["metadata"].get("annotations") for o in made.of("Job")}
    hook = hooks.pop("one-postgres-provision")
    assert hook["helm.sh/hook"] == "post-install,post-upgrade"
    assert hook["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
    # Argo CD runs it beside the application of all objects, and misses none that went.
    assert list(hooks.values()) == [
        {"argocd.argoproj.io/hook": "Sync", "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation"}
    ]
    kept = {o["metadata"]["name"]: o["spec"].get("ttlSecondsAfterFinished") for o in made.of("Job")}
    assert kept == {"one-postgres-provision": None, **dict.fromkeys(hooks, 86400)}
    ends = [o["spec"] for o in made.of("Job")]
    assert [(e["activeDeadlineSeconds"], e["backoffLimit"]) for e in ends] == [(300, 3)] * 2
    assert ends[0]["template"] == ends[1]["template"]
    rule = {"action": "FailJob", "onExitCodes": {"containerName": "provision", "operator": "In", "values": [3]}}
    assert [e["podFailurePolicy"]["rules"] for e in ends] == [[rule]] * 2
    assert "maps-password" in made.secrets()["one-postgres"]


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_tls_wants_a_certificate_and_mounts_it_for_the_server_alone(name: str, own_charts: Path) -> None:
    chart = own_charts / name
    with pytest.raises(CliError, match="/tls/secretName"):
        template(Command(chart, settings=("tls.enabled=true",), release="one"))
    role = () if name == "redis" else ("roles.maps.passwordKey=maps-password", "roles.maps.databases.maps={pg_trgm}")
    secured = template(Command(chart, settings=("tls.enabled=true", "tls.secretName=cert", *role), release="one"))
    assert secured.refused() == {}
    keys = {
        owner.split("/")[0]: [item["key"] for item in volume["secret"]["items"]]
        for owner, pod in secured.pods()
        for volume in pod["volumes"]
        if volume["name"] == "tls"
    }
    assert "tls.key" in keys.pop("StatefulSet")
    assert keys == ({} if name == "redis" else {"Job": ["ca.crt"]})


# What people add, of which each wants a password.
WITH_MORE = {
    "postgres": ("roles.maps.passwordKey=maps-password", "roles.maps.databases.maps={postgis}"),
    "redis": ("auth.users.reader.passwordKey=reader-password", "auth.users.reader.rules=+@read"),
    "minio": (),
}


def test_every_password_that_it_asks_for_is_in_its_secret(chart: Path) -> None:
    made = template(Command(chart, settings=WITH_MORE[chart.name], release="one"))
    references = [
        (reference["name"], reference["key"])
        for _, container in made.containers()
        for variable in container.get("env") or []
        if (reference := variable.get("valueFrom", {}).get("secretKeyRef"))
    ]
    held = {(name, key) for name, data in made.secrets().items() for key, value in data.items() if value}
    # One for the owner, and one for what was added.
    assert len(set(references)) == {"postgres": 2, "redis": 2, "minio": 2}[chart.name]
    assert set(references) == held


@pytest.mark.parametrize(("name", "script"), [("postgres", "provision.sh"), ("redis", "start.sh")])
def test_its_script_is_where_its_command_looks(name: str, script: str, own_charts: Path) -> None:
    made = template(Command(own_charts / name, settings=WITH_MORE[name], release="one"))
    looked_for = set()
    for _, pod in made.pods():
        config_maps = {v["name"]: v["configMap"]["name"] for v in pod["volumes"] if "configMap" in v}
        for container in pod["containers"]:
            mounts = {m["mountPath"]: m["name"] for m in container["volumeMounts"]}
            for folder, _, file in (word.rpartition("/") for word in container.get("command") or []):
                if file.endswith(".sh"):
                    looked_for.add(file)
                    assert file in made.get("ConfigMap", config_maps[mounts[folder]])["data"]
    assert looked_for == {script}
