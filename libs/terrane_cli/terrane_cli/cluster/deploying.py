"""From nothing to the platform on a cluster, and its table: the cluster, images, the release, the demo.

Images are built while the cluster is made, and put onto it all at once, so that what they share goes there once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import yaml

from terrane.object_store import LANDING_ZONE
from terrane_cli.charts.dependencies import ensure_dependencies
from terrane_cli.cluster import access, kind, volumes
from terrane_cli.cluster.kubernetes import NAMESPACE, context
from terrane_cli.commands import CliError, run, show
from terrane_cli.console import console
from terrane_cli.demo import demo
from terrane_cli.project import Project

# What charts are rendered for where no cluster is asked.
KUBERNETES = "1.34.0"
VALUES = ("charts/platform/values/locations.yaml", "charts/platform/values/kind.yaml")
BUILT = "images.json"


class Phases(dict[str, float]):
    """The seconds that each part took."""

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self[name] = time.monotonic() - began


def make_and_deploy(project: Project, profile: list[str]) -> None:
    """Makes the cluster where there is none, builds and deploys all of the platform, and runs the demo.

    Raises CliError.
    """
    phases, began = Phases(), time.monotonic()
    with ThreadPoolExecutor(1) as aside:
        building = aside.submit(_build, project, profile, phases)
        with phases.phase("cluster"):
            console.print("cluster: made" if kind.ensure_cluster(project) else "cluster: there")
        with phases.phase("ingress"):
            if kind.ensure_ingress(project):
                console.print("ingress controller: installed")
        ensure_dependencies(project)
        others = _images_of_others(project, profile)
        ours = building.result()
    with phases.phase("images onto the node"):
        kind.load_images([*others, *ours])
    with phases.phase("release"):
        skaffold(project, "deploy", "--build-artifacts", str(project.state / BUILT), "--load-images=false", *profile)
        for name in volumes.remove_unused(project):
            console.print(f"{name}: its volume is removed")
    with phases.phase("demo"):
        run_demo(project)
    parts = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in phases.items())
    console.print(f"From the command to the table: {time.monotonic() - began:.0f} s ({parts})")


def run_demo(project: Project) -> None:
    """Delivers the sample batch, follows it, and shows what the feature server answers through the ingress.

    Raises CliError when a stage fails or takes too long.
    """
    api = access.ui()
    demo.wait_until_loaded(api)
    with access.object_store() as store:
        served = demo.deliver_and_follow(api, store.bucket(LANDING_ZONE), project)
    if served:
        console.print()
        console.print(demo.features_table(f"{access.ingress()}/get-online-features", host=access.FEATURES_HOST))
    console.print(f"\nThe UI: {access.ingress(access.UI_HOST)}")


def profile(project: Project, name: str) -> list[str]:
    """Skaffold's words for the profile, none for none. Raises CliError for a name that is no profile."""
    known = [profile["name"] for profile in yaml.safe_load((project.root / "skaffold.yaml").read_text())["profiles"]]
    if name and name not in known:
        raise CliError(f"there is no profile {name}; skaffold.yaml has {', '.join(known)}")
    return ["--profile", name] if name else []


def _build(project: Project, profile: list[str], phases: Phases) -> list[str]:
    """Builds every image, and returns their names with tags. Asks nothing of a cluster."""
    project.state.mkdir(parents=True, exist_ok=True)
    file = project.state / BUILT
    with phases.phase("images built"):
        skaffold(project, "build", "--check-cluster-node-platforms=false", "--file-output", str(file), *profile)
    return [entry["tag"] for entry in json.loads(file.read_text())["builds"]]


def _images_of_others(project: Project, profile: list[str]) -> list[str]:
    """The images that the release names and that are not built here."""
    files = [*VALUES, *(f"charts/platform/values/{name}.yaml" for name in profile[1:])]
    values = [word for file in files for word in ("--values", str(project.root / file))]
    chart = str(project.root / "charts/platform")
    rendered = run(["helm", "template", "terrane", chart, *values, "--kube-version", KUBERNETES])
    named = {
        container["image"]
        for document in yaml.safe_load_all(rendered)
        if document
        for container in _containers(document)
    }
    return sorted(image for image in named if "terrane/" not in image)


def _containers(document: dict) -> list[dict]:
    template = document.get("spec", {}).get("template", {}).get("spec", {})
    return [*template.get("initContainers", []), *template.get("containers", [])]


def skaffold(project: Project, *words: str) -> None:
    """Runs skaffold in the foreground; its own words are what there is to see."""
    command = ["skaffold", *words, "--kube-context", context(), "--namespace", NAMESPACE]
    if code := show(command, folder=project.root):
        told = f"`{' '.join(command)}` failed with code {code}"
        raise CliError(f"{told}; `make cluster-status` names a pod that fails, with its reason")
