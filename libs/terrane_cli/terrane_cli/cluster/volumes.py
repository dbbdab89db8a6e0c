"""The volumes on which developing keeps each location's files: those of locations that were removed go."""

from __future__ import annotations

from terrane_cli.cluster.kubernetes import kubectl, kubectl_json
from terrane_cli.project import Project

# As charts/platform/templates/shared-source.yaml names them: made by a hook, so that no upgrade takes one away.
PREFIX = "terrane-source-of-"


def remove_unused(project: Project) -> list[str]:
    """Removes the volumes of locations that there are no more, and returns the locations.

    The Jobs of their runs that ended go as well, for their pods hold the volume; one of a run at work goes after it.
    """
    claims = [claim["metadata"]["name"] for claim in kubectl_json("get", "persistentvolumeclaims")["items"]]
    of = [claim.removeprefix(PREFIX) for claim in claims if claim.startswith(PREFIX)]
    removed = [name for name in of if name not in project.locations]
    for name in removed:
        jobs = kubectl_json("get", "jobs", "--selector", f"dagster/code-location={name}")["items"]
        if ended := [job["metadata"]["name"] for job in jobs if not job["status"].get("active")]:
            kubectl("delete", "jobs", *ended)
        kubectl("delete", "persistentvolumeclaim", f"{PREFIX}{name}", "--wait=false")
    return removed
