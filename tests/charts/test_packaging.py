"""The charts of a release name its images by their digests, and nothing else of them changes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from tests.charts.rendering import PROFILES, Command, template

from terrane_cli.charts.packaging import Release, package, pin
from terrane_cli.cluster.images import images
from terrane_cli.commands import CliError
from terrane_cli.project import Project

pytestmark = pytest.mark.unit

DIGEST = "sha256:" + "ab" * 32
IMAGES = "registry.example.com/team"


def _release(*names: str) -> Release:
    return Release("1.2.3", IMAGES, dict.fromkeys(names, DIGEST))


@pytest.fixture(scope="module")
def unpacked(project: Project, official: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart as a user has it after `helm pull --untar`."""
    folder = tmp_path_factory.mktemp("release")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TERRANE_DAGSTER_CHART", str(official))
        packed = package(project, _release(*(image.name for image in images(project))), folder)
    assert packed.name == "platform-1.2.3.tgz"
    subprocess.run(["tar", "-xzf", packed, "-C", folder], check=True)
    return folder / "platform"


@pytest.mark.parametrize("profile", ["default", "kind", "celery"])
def test_every_image_of_ours_is_named_by_its_digest(unpacked: Path, profile: str) -> None:
    values = tuple(unpacked / file for file in PROFILES[profile])
    named = {container["image"] for _, container in template(Command(unpacked, values)).containers()}
    assert {image for image in named if "terrane/" in image} == set()
    ours = {image for image in named if image.startswith(f"{IMAGES}/")}
    assert {image.rsplit("@", 1)[1] for image in ours} == {DIGEST}
    assert len(ours) >= 5


def test_the_packed_chart_has_the_release_s_version_and_dagster_s(unpacked: Path) -> None:
    chart = yaml.safe_load((unpacked / "Chart.yaml").read_text())
    assert chart["version"] == "1.2.3"
    (dagster,) = [d["version"] for d in chart["dependencies"] if d["name"] == "dagster"]
    assert chart["appVersion"] == dagster


def test_the_checkout_is_left_as_it_was(project: Project, unpacked: Path) -> None:
    assert DIGEST not in (project.root / "charts/platform/values.yaml").read_text()


def test_comments_stay_and_other_images_are_left_alone() -> None:
    text = """# A comment.
image: {registry: docker.io, repository: terrane/maps, tag: dev}  # ours
other: {repository: redis, tag: "8"}
inner:
  image:
    repository: terrane/maps
    tag: dev
    pullPolicy: IfNotPresent
"""
    pinned, names = pin(text, _release("maps"))
    assert names == {"maps"}
    assert pinned.startswith("# A comment.\n")
    assert "# ours\n" in pinned
    ours = {"tag": "1.2.3", "digest": DIGEST}
    assert yaml.safe_load(pinned) == {
        "image": {"registry": "registry.example.com", "repository": "team/maps", **ours},
        "other": {"repository": "redis", "tag": "8"},
        "inner": {"image": {"repository": f"{IMAGES}/maps", "pullPolicy": "IfNotPresent", **ours}},
    }


def test_a_digest_that_is_there_is_replaced_and_an_image_with_two_names_is_pinned_once() -> None:
    text = 'a: &image {repository: terrane/maps, tag: dev, digest: ""}\nb: *image\n'
    pinned, _ = pin(text, _release("maps"))
    image = {"repository": f"{IMAGES}/maps", "tag": "1.2.3", "digest": DIGEST}
    assert yaml.safe_load(pinned) == {"a": image, "b": image}


def test_an_image_without_a_digest_is_refused() -> None:
    with pytest.raises(CliError, match="terrane/roads, of which the release has no digest"):
        pin("image: {repository: terrane/roads, tag: dev}", _release("maps"))


def test_a_digest_of_no_image_is_refused(project: Project, tmp_path: Path) -> None:
    names = [image.name for image in images(project)]
    with pytest.raises(CliError, match="no value names an image roads"):
        package(project, _release(*names, "roads"), tmp_path)
