"""What Helm runs around an install or upgrade: when, in which order, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.charts.conftest import Rendering
from tests.charts.rendering import Render

pytestmark = pytest.mark.unit

AFTER = {
    "helm.sh/hook": "post-install,post-upgrade",
    "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
}
PROVISION = {**AFTER, "helm.sh/hook-weight": "-5"}
TEST = {"helm.sh/hook": "test", "helm.sh/hook-delete-policy": "before-hook-creation"}
BEFORE = {"helm.sh/hook": "pre-install,pre-upgrade"}
# Roles and databases before what wants them; whatever a hook leaves makes room for the next one.
HOOKS = {
    "Job/terrane-postgres-provision": PROVISION,
    "Job/terrane-postgis-provision": PROVISION,
    "Job/terrane-buckets": AFTER,
    "Pod/terrane-test-ui": TEST,
    "Pod/terrane-test-features": TEST,
}
DEVELOPMENT = {
    "PersistentVolumeClaim/terrane-source-of-analytics": {
        **BEFORE,
        "helm.sh/hook-weight": "-2",
        "helm.sh/hook-delete-policy": "hook-failed",
    },
    "Job/terrane-sources": {
        **BEFORE,
        "helm.sh/hook-weight": "-1",
        "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
    },
}
SOURCE = "development.sharedSource[0]"


def test_hooks_run_when_and_in_the_order_they_must(rendered: Rendering) -> None:
    assert _hooks(rendered("kind")) == _hooks(rendered("celery")) == HOOKS
    managed = ("Job/terrane-postgres-provision", "Job/terrane-postgis-provision")
    assert _hooks(rendered("production")) == {name: hook for name, hook in HOOKS.items() if name not in managed}


def test_the_files_of_locations_are_there_before_their_code_servers(rendered: Rendering) -> None:
    shared = {"location": "analytics", "image": "terrane/analytics:dev", "folder": "dev"}
    render = rendered("kind", *(f"{SOURCE}.{key}={value}" for key, value in shared.items()))
    assert _hooks(render) == HOOKS | DEVELOPMENT


@pytest.mark.parametrize("name", ["ui", "features"])
def test_helm_test_runs_the_scripts_that_are_tried_on_servers(name: str, every: Render, charts: Path) -> None:
    pod = every.get("Pod", f"terrane-test-{name}")["spec"]
    assert pod["restartPolicy"] == "Never"
    (container,) = pod["containers"]
    assert container["command"] == ["python", "-c"]
    assert container["args"] == [(charts / f"platform/files/tests/{name}.py").read_text()]


def test_every_job_ends(every: Render) -> None:
    limits = {
        o["metadata"]["name"]: (o["spec"]["backoffLimit"], o["spec"]["activeDeadlineSeconds"])
        for o in every.of("Job")
        if not o["metadata"]["name"].startswith(("terrane-postgres-", "terrane-postgis-"))
    }
    assert set(limits.items()) <= {("terrane-buckets", (20, 600))}
    for o in every.of("Job"):
        assert o["spec"]["activeDeadlineSeconds"] <= 600
        assert o["spec"]["template"]["spec"]["restartPolicy"] in ("Never", "OnFailure")


def test_a_stores_provisioning_is_given_up_at_a_mistake_and_tried_again_at_a_fault(rendered: Rendering) -> None:
    jobs = [o for o in rendered("kind").of("Job") if o["metadata"]["name"].startswith("terrane-postg")]
    assert len(jobs) == 4
    for job in jobs:
        spec = job["spec"]
        assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (3, 300)
        codes = {"containerName": "provision", "operator": "In", "values": [3]}
        assert spec["podFailurePolicy"] == {"rules": [{"action": "FailJob", "onExitCodes": codes}]}
        assert spec["template"]["spec"]["restartPolicy"] == "Never"
        (container,) = spec["template"]["spec"]["containers"]
        # The reason is in the pod's own state.
        assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
        assert container["command"] == ["sh", "/provisioning/provision.sh"]


def test_buckets_are_made_by_the_module_that_makes_them(rendered: Rendering) -> None:
    spec = rendered("kind").get("Job", "terrane-buckets")["spec"]["template"]["spec"]
    assert spec["restartPolicy"] == "OnFailure"
    (container,) = spec["containers"]
    assert container["command"] == ["python", "-m", "terrane.object_store.buckets", "--make"]
    assert {"configMapRef": {"name": "terrane-s3-address"}} in container["envFrom"]


def _hooks(render: Render) -> dict[str, dict[str, str]]:
    found = {}
    for o in render.objects:
        own = o["metadata"].get("annotations") or {}
        if hook := {key: value for key, value in own.items() if key.startswith("helm.sh/hook")}:
            found[f"{o['kind']}/{o['metadata']['name']}"] = hook
    return found
