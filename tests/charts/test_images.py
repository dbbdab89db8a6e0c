"""Which images a release names, and how they are changed."""

from __future__ import annotations

import re

import pytest
from tests.charts.conftest import Rendering
from tests.charts.rendering import Object, Render

from terrane_cli.project import Project

pytestmark = pytest.mark.unit

REGISTRY = "registry.example.com:5000/mirror"
DEPLOYMENTS = "dagster.dagster-user-deployments.deployments"


def test_no_image_has_a_tag_that_moves(every: Render) -> None:
    images = _images(every)
    assert len(images) >= 6
    assert [image for image in images if not re.search(r":[^/:]+$", image) or image.endswith(":latest")] == []


def test_bitnami_is_nowhere(every: Render) -> None:
    assert "bitnami" not in str(every.objects).lower()


@pytest.mark.parametrize("profile", ["default", "kind", "celery", "production"])
@pytest.mark.parametrize("flower", ["true", "false"])
def test_one_value_moves_every_image_to_another_registry(
    profile: str, flower: str, rendered: Rendering, project: Project
) -> None:
    asked = f"dagster.flower.enabled={flower}"
    before, moved = rendered(profile, asked), rendered(profile, asked, f"global.imageRegistry={REGISTRY}")
    expected = {f"{REGISTRY}/{re.sub(r'^[^/]*[.:][^/]*/', '', image)}" for image in _images(before)}
    assert _images(moved) == expected
    assert all(image.count(REGISTRY) == 1 for image in expected)
    # What runs are made from, which no container names.
    for location in project.locations:
        assert _variable(moved.location(location), "DAGSTER_CURRENT_IMAGE").startswith(f"{REGISTRY}/terrane/")


def test_a_repository_with_a_registry_of_its_own_moves_as_well(rendered: Rendering) -> None:
    own = f"{DEPLOYMENTS}[0].image.repository=ghcr.io/team/own"
    assert "ghcr.io/team/own:dev" in _images(rendered("kind", own))
    assert f"{REGISTRY}/team/own:dev" in _images(rendered("kind", own, f"global.imageRegistry={REGISTRY}"))


def test_a_location_can_be_pinned_by_digest(rendered: Rendering, project: Project) -> None:
    first = project.locations[0]
    digest = f"sha256:{'0' * 64}"
    pinned = rendered("kind", f"{DEPLOYMENTS}[0].image.digest={digest}")
    assert _variable(pinned.location(first), "DAGSTER_CURRENT_IMAGE") == f"terrane/{first}@{digest}"
    # A tag beside it is not wanted.
    untagged = rendered("kind", f"{DEPLOYMENTS}[0].image.digest={digest}", f"{DEPLOYMENTS}[0].image.tag=")
    assert _images(untagged) == _images(pinned)


@pytest.mark.parametrize("part", ["dagsterWebserver", "dagsterDaemon"])
def test_ui_and_daemon_can_be_pinned_by_digest(part: str, rendered: Rendering) -> None:
    digest = f"sha256:{'1' * 64}"
    assert f"terrane/dagster@{digest}" in _images(rendered("kind", f"dagster.{part}.image.digest={digest}"))


@pytest.mark.parametrize(("place", "name"), enumerate(Project.here().locations))
def test_a_changed_tag_touches_one_location_and_nothing_else(place: int, name: str, rendered: Rendering) -> None:
    # Where no first day is given, it depends on today; where passwords are made, pods that read them change with them.
    given = [f"credentials.{own}.create=false" for own in ("warehouse", "redis", "source")]
    fixed = ("source.startDate=2026-01-01", *given)
    before, after = rendered("kind", *fixed), rendered("kind", *fixed, f"{DEPLOYMENTS}[{place}].image.tag=changed")
    changed = {key for key, o in _by_name(after).items() if _by_name(before)[key] != o}
    assert _by_name(after).keys() == _by_name(before).keys()
    assert changed == {("Deployment", f"terrane-dagster-user-deployments-{name}")}


def test_runs_have_the_image_of_their_code_server(every: Render, project: Project) -> None:
    for location in project.locations:
        server = every.location(location)
        image = server["spec"]["template"]["spec"]["containers"][0]["image"]
        assert image == _variable(server, "DAGSTER_CURRENT_IMAGE")
        assert re.fullmatch(rf"(registry\.example\.com/)?terrane/{location}:(dev|v1)", image)


def _images(render: Render) -> set[str]:
    return {container["image"] for _, container in render.containers()}


def _variable(deployment: Object, name: str) -> str:
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    return next(v["value"] for v in container["env"] if v["name"] == name)


def _by_name(render: Render) -> dict[tuple[str, str], Object]:
    """Every object but Secrets, which are generated where no cluster is asked."""
    return {(o["kind"], o["metadata"]["name"]): o for o in render.objects if o["kind"] != "Secret"}
