"""What building refuses, and what it makes for development."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.images.containers import NAMES, ROOT, Image, build, docker, history

from terrane_cli.project import Project

pytestmark = pytest.mark.cluster

BROKEN = '\nraise ValueError("broken on purpose")\n'
CONNECTING = '\nimport socket\n\nsocket.create_connection(("warehouse.example", 5432), timeout=2)\n'
WRITE = "touch /opt/terrane/code_locations/{0}/src/{0}/definitions.py && rm -r /opt/terrane/libs/terrane/src/terrane"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """What the spatial image is built of, to be broken."""
    for name in (".dockerignore", "images", "libs/terrane", "libs/terrane_spatial", "code_locations/spatial"):
        source, target = ROOT / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_file():
            shutil.copy2(source, target)
        else:
            shutil.copytree(source, target, ignore=shutil.ignore_patterns(".venv", "__pycache__", "tests"))
    return tmp_path


@pytest.fixture
def scrap() -> Iterator[str]:
    """A tag for an image that goes with the test."""
    tag = "terrane/scrap:tested"
    yield tag
    docker("image", "rm", "--force", "--no-prune", tag)


def test_every_location_has_an_image(project: Project) -> None:
    assert set(project.locations) - set(NAMES) == set()


def test_definitions_that_do_not_import_fail_the_build_with_their_own_words(context: Path, scrap: str) -> None:
    definitions = context / "code_locations/spatial/src/spatial/definitions.py"
    definitions.write_text(definitions.read_text() + BROKEN)
    done = build("spatial", scrap, context)
    assert done.returncode != 0
    assert "broken on purpose" in done.stderr + done.stdout


def test_definitions_that_ask_the_network_fail_the_build(context: Path, scrap: str) -> None:
    definitions = context / "code_locations/spatial/src/spatial/definitions.py"
    definitions.write_text(definitions.read_text() + CONNECTING)
    done = build("spatial", scrap, context)
    assert done.returncode != 0
    assert "something asks for warehouse.example while definitions load" in done.stderr + done.stdout


def test_a_package_that_is_not_the_locked_one_fails_the_build(context: Path, scrap: str) -> None:
    lock = context / "code_locations/spatial/requirements.lock"
    lock.write_text(re.sub("sha256:[0-9a-f]{64}", "sha256:" + "0" * 64, lock.read_text()))
    done = build("spatial", scrap, context)
    assert done.returncode != 0
    assert "hash mismatch" in (done.stderr + done.stdout).lower()


def test_packages_come_from_the_index_that_a_secret_names_and_the_image_does_not_say_which(
    context: Path, scrap: str, tmp_path: Path
) -> None:
    index = tmp_path / "uv.toml"
    index.write_text('[[index]]\nurl = "http://127.0.0.1:9/simple"\ndefault = true\n')
    # Not the lock that is built already, for an engine keeps what it built, whatever the secret was.
    lock = context / "code_locations/spatial/requirements.lock"
    lock.write_text(f"{lock.read_text()}# {scrap}, {time.time_ns()}\n")
    refused = build("spatial", scrap, context, secrets={"uv": index})
    assert refused.returncode != 0
    assert "http://127.0.0.1:9/simple" in refused.stderr + refused.stdout
    index.write_text("# no index, and so the usual one: a mark that must not be left behind\n")
    done = build("spatial", scrap, context, secrets={"uv": index})
    assert done.returncode == 0, done.stderr[-4000:]
    left = Image("spatial", scrap).run("sh", "-c", "grep -rl 'must not be left behind' /etc /opt/venv/pyvenv.cfg /root")
    assert left.stdout == ""
    assert not any("127.0.0.1:9" in line for line in history(scrap))


def test_the_code_is_read_only(location: Image) -> None:
    command = ["run", "--rm", "--network=none", "--entrypoint=sh", location.tag, "-c", WRITE.format(location.name)]
    assert docker(*command).returncode != 0


def test_a_change_of_code_leaves_what_is_heavy_as_it_was(context: Path, scrap: str) -> None:
    def layers(revision: str) -> list[str]:
        done = build("spatial", scrap, context, REVISION=revision)
        assert done.returncode == 0, done.stderr[-4000:]
        return Image("spatial", scrap).inspect()["RootFS"]["Layers"]

    before = layers("a" * 40)
    assert layers("b" * 40) == before
    definitions = context / "code_locations/spatial/src/spatial/definitions.py"
    definitions.write_text(definitions.read_text() + "\nCHANGED = True\n")
    after = layers("b" * 40)
    changed = [n for n, (one, other) in enumerate(zip(before, after, strict=True)) if one != other]
    # The location's files, and what was installed and compiled of them; the environment is in a third.
    assert 0 < len(changed) <= 2
