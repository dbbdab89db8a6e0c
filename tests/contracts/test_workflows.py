"""What GitHub runs is pinned, may do little, names no location, and calls what is there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from terrane_cli.cluster.images import images
from terrane_cli.project import Project, program

pytestmark = pytest.mark.unit

ROOT = Project.here().root
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
# An action by its commit, with the version that commit had for a reader and for updates.
PINNED = re.compile(r"[\w-]+/[\w-]+(?:/[\w-]+)?@[0-9a-f]{40} # v\d+\.\d+\.\d+")


@pytest.fixture(params=WORKFLOWS, ids=lambda file: file.stem)
def text(request: pytest.FixtureRequest) -> str:
    return request.param.read_text()


@pytest.fixture
def workflow(text: str) -> dict[str, Any]:
    return yaml.safe_load(text)


def test_there_are_workflows_to_look_at() -> None:
    assert {"ci", "security"} <= {file.stem for file in WORKFLOWS}


def test_every_action_is_pinned_by_its_commit_with_its_version(text: str) -> None:
    used = re.findall(r"uses: (.+)", text)
    assert used
    assert [action for action in used if not PINNED.fullmatch(action)] == []


def test_one_action_has_one_commit_in_all_workflows() -> None:
    commits: dict[str, set[str]] = {}
    for file in WORKFLOWS:
        for repository, commit in re.findall(r"uses: ([\w-]+/[\w-]+)\S*?@(\S+)", file.read_text()):
            commits.setdefault(repository, set()).add(commit)
    assert {action: found for action, found in commits.items() if len(found) > 1} == {}


def test_a_workflow_may_read_and_a_job_says_what_it_may_do_beyond(workflow: dict[str, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    assert [name for name, job in workflow["jobs"].items() if "timeout-minutes" not in job] == []


def test_no_workflow_names_a_location(text: str, project: Project) -> None:
    assert [name for name in project.locations if re.search(rf"\b{name}\b", text)] == []


def test_what_workflows_run_is_there(text: str, project: Project) -> None:
    targets = re.findall(r"^([a-z -]+):(?!=)", (project.root / "Makefile").read_text(), re.MULTILINE)
    called = set(re.findall(r"\bmake ([a-z-]+)", text))
    assert called <= {name for names in targets for name in names.split()}
    folders = re.findall(r"(?<![\w$/\"])(?:libs/\w+/tests|tests/\w+)", text)
    assert [folder for folder in folders if not (project.root / folder).is_dir()] == []


def test_zizmor_finds_no_weakness_in_them(project: Project) -> None:
    command = [program(project.root, "zizmor"), "--offline", "--no-progress", ".github"]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert f"completed .github/workflows/{WORKFLOWS[0].name}" in done.stderr


def test_the_matrix_of_images_holds_every_image_with_a_dockerfile_that_is_there(project: Project) -> None:
    matrix = _matrix(project, "images")
    assert [image["name"] for image in matrix] == [image.name for image in images(project)]
    assert {"dagster", *project.locations} <= {image["name"] for image in matrix}
    assert [image for image in matrix if not (project.root / image["dockerfile"]).is_file()] == []


def test_the_matrix_of_locations_holds_every_test_once_that_the_workspace_does_not_run(project: Project) -> None:
    matrix = _matrix(project, "locations")
    assert [entry["name"] for entry in matrix] == project.locations
    folders = [folder for entry in matrix for folder in entry["tests"].split()]
    assert len(folders) == len(set(folders))
    run_by_name = re.findall(r"(?:libs/\w+|tests/\w+)(?:/tests)?\b", (ROOT / ".github/workflows/ci.yml").read_text())
    there = {str(p.relative_to(ROOT)) for p in [*ROOT.glob("libs/*/tests"), *ROOT.glob("code_locations/*/tests")]}
    assert there - set(folders) - set(run_by_name) == set()


def _matrix(project: Project, of: str) -> list[dict[str, Any]]:
    """As CI asks for it, with no package installed."""
    command = [sys.executable, "-S", "-m", "terrane_cli.matrix", of]
    variables = {"PYTHONPATH": str(project.root / "libs/terrane_cli")}
    return json.loads(subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout)
