"""Files that skaffold synced are not lost to a later deployment of its own, and never outlive it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.charts.conftest import Rendering

pytestmark = pytest.mark.unit

SOURCE = "development.sharedSource[0]"
TWO_DAYS_S = 2 * 24 * 3600
Deploy = Callable[..., None]


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    (tmp_path / "volume").mkdir()
    return tmp_path / "volume"


@pytest.fixture
def deploy(rendered: Rendering, volume: Path, tmp_path: Path) -> Deploy:
    """Runs what the chart's Job runs, for an image that holds this text in its one file."""

    def ensure(text: str, *, folder: str, session: str) -> None:
        container = _filling(rendered, folder, session)
        image = tmp_path / "image"
        image.mkdir(exist_ok=True)
        (image / "code.py").write_text(text)
        *shell, script = container["command"]
        script = script.replace("/volume", str(volume)).replace("/opt/terrane", str(image))
        variables = {variable["name"]: variable["value"] for variable in container["env"]}
        subprocess.run([*shell, script], env=os.environ | variables, check=True)

    return ensure


def _filling(rendered: Rendering, folder: str, session: str) -> dict[str, Any]:
    image = f"terrane/features:{folder}"
    settings = {"location": "features", "image": image, "folder": folder}
    words = [f"{SOURCE}.{key}={value}" for key, value in settings.items()]
    job = rendered("kind", *words, f"development.session={session}").get("Job", "terrane-sources")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["image"] == image
    # The whole of the volume, in which each image's files have a folder.
    assert container["volumeMounts"] == [{"name": "features", "mountPath": "/volume"}]
    claim = {"persistentVolumeClaim": {"claimName": "terrane-source-of-features"}}
    assert job["spec"]["template"]["spec"]["volumes"] == [{"name": "features", **claim}]
    return container


def test_a_folder_is_filled_with_the_image_s_files(deploy: Deploy, volume: Path) -> None:
    deploy("built", folder="one", session="s1")
    assert (volume / "one/code.py").read_text() == "built"


def test_what_a_session_synced_stays_when_it_deploys_again(deploy: Deploy, volume: Path) -> None:
    deploy("built", folder="one", session="s1")
    (volume / "one/code.py").write_text("synced")
    deploy("built", folder="one", session="s1")
    assert (volume / "one/code.py").read_text() == "synced"


@pytest.mark.parametrize(("first", "second"), [("s1", "s2"), ("", ""), ("s1", "")])
def test_another_session_and_a_deployment_without_one_take_the_image_s_files(
    deploy: Deploy, volume: Path, first: str, second: str
) -> None:
    deploy("built", folder="one", session=first)
    (volume / "one/code.py").write_text("synced")
    (volume / "one/more.py").write_text("synced")
    deploy("built", folder="one", session=second)
    assert {file.name: file.read_text() for file in (volume / "one").iterdir()} == {"code.py": "built"}


def test_a_session_that_comes_back_to_an_earlier_image_has_its_files(deploy: Deploy, volume: Path) -> None:
    deploy("built", folder="one", session="s1")
    (volume / "one/code.py").write_text("synced")
    deploy("with another dependency", folder="two", session="s1")
    deploy("built", folder="one", session="s1")
    assert (volume / "one/code.py").read_text() == "built"


def test_folders_of_other_images_go_after_two_days(deploy: Deploy, volume: Path) -> None:
    for folder in ("older", "old"):
        deploy("built", folder=folder, session="s1")
    before = time.time() - TWO_DAYS_S - 3600
    os.utime(volume / "older", (before, before))
    deploy("built", folder="new", session="s1")
    assert {file.name for file in volume.iterdir() if file.is_dir()} == {"old", "new"}


def test_the_feature_server_reads_the_files_that_are_synced_for_its_location(rendered: Rendering) -> None:
    words = [f"{SOURCE}.location=features", f"{SOURCE}.image=terrane/features:one", f"{SOURCE}.folder=one"]
    pod = rendered("kind", *words).get("Deployment", "terrane-feature-server")["spec"]["template"]["spec"]
    assert {"name": "source", "mountPath": "/opt/terrane", "subPath": "one"} in pod["containers"][0]["volumeMounts"]
    claims = [v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"] if "persistentVolumeClaim" in v]
    assert claims == ["terrane-source-of-features"]


def test_the_feature_server_has_no_volume_without_development(rendered: Rendering) -> None:
    pod = rendered("kind").get("Deployment", "terrane-feature-server")["spec"]["template"]["spec"]
    assert [volume for volume in pod["volumes"] if "persistentVolumeClaim" in volume] == []
