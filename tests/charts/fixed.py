"""The fields that no upgrade may change, since Kubernetes refuses it: fixed.yaml holds those of the last release.

A release writes them anew: `python -m tests.charts.fixed`.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml
from tests.charts.rendering import HERE, SETTINGS, Command, Render, profile_values, template

from terrane_cli.charts.dependencies import fill_dependencies
from terrane_cli.project import Project

FILE = HERE / "fixed.yaml"
PROFILES = ("celery", "production")
# By kind. Of a Job a changed template is refused as well: its name holds a digest of it, or a hook makes room for it.
FIELDS = {
    "Deployment": ("spec.selector",),
    "StatefulSet": ("spec.selector", "spec.serviceName", "spec.volumeClaimTemplates", "spec.podManagementPolicy"),
    "PersistentVolumeClaim": ("spec.accessModes", "spec.storageClassName", "spec.volumeMode"),
    "Service": ("spec.clusterIP",),
    "RoleBinding": ("roleRef",),
}


def fixed(render: Render) -> dict[str, Any]:
    """Each field by `<kind>/<name>.<path>`; one that is not there is null.

    All locations are as one, for they come and go.
    """
    found = {}
    for o in render.objects:
        for path in FIELDS.get(o["kind"], ()):
            value: Any = o
            for key in path.split("."):
                value = value.get(key) if isinstance(value, dict) else None
            field = json.dumps([f"{o['kind']}/{o['metadata']['name']}.{path}", value])
            labels = o["metadata"].get("labels", {})
            if labels.get("component") == "user-deployments":
                location = labels["deployment"]
                field = re.sub(rf"(?<=[-/\"]){location}(?=[.\"])", "LOCATION", field)
            key, value = json.loads(field)
            found.setdefault(key, value)
    return found


def main() -> None:
    project = Project.here()
    with tempfile.TemporaryDirectory() as folder:
        charts = Path(folder) / "charts"
        shutil.copytree(project.root / "charts", charts, ignore=shutil.ignore_patterns("*.tgz"))
        shutil.copy(project.root / "requirements-dev.lock", folder)
        fill_dependencies(Project(Path(folder)))
        found = {}
        for profile in PROFILES:
            values = profile_values(charts, profile)
            found[profile] = fixed(template(Command(charts / "platform", values, SETTINGS.get(profile, ()))))
    text = "# What no upgrade may change, as the last release has it: written by `python -m tests.charts.fixed`.\n"
    FILE.write_text(text + yaml.safe_dump(found, default_flow_style=None, width=120))


if __name__ == "__main__":
    main()
