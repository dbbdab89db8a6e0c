"""A job over a selection of assets, and the schedule that starts it: one YAML file, no Python."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import dagster as dg

from terrane.components.scaffolding import name_of


class Scaffolder(dg.Scaffolder):
    """Writes a nightly job over all assets, switched off."""

    def scaffold(self, request: dg.ScaffoldRequest) -> None:
        attributes = {
            "name": name_of(request),
            "selection": "*",
            "cron_schedule": "0 3 * * *",
            "description": "Makes every asset anew at night; off until somebody wants it.",
        }
        dg.scaffold_component(request, attributes)


@dg.scaffold_with(Scaffolder)
@dataclass
class ScheduledJob(dg.Component, dg.Resolvable):
    """A job `<name>` and its schedule `<name>_schedule`.

    Attributes:
        name: of the job.
        selection: the job's assets, in Dagster's selection syntax, as `group:serving` or `+key:"online/*"`.
        cron_schedule: when it runs, in UTC.
        description: why the schedule exists, or why it is switched off.
        tags: put on the job and on every run of it.
        default_status: whether the schedule runs until somebody decides otherwise in the UI.
    """

    name: str
    selection: str
    cron_schedule: str
    description: str
    tags: Mapping[str, str] = field(default_factory=dict)
    default_status: Literal["RUNNING", "STOPPED"] = "STOPPED"

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        job = dg.define_asset_job(self.name, selection=self.selection, description=self.description, tags=self.tags)
        schedule = dg.ScheduleDefinition(
            name=f"{self.name}_schedule",
            job=job,
            cron_schedule=self.cron_schedule,
            execution_timezone="UTC",
            description=self.description,
            default_status=dg.DefaultScheduleStatus[self.default_status],
        )
        return dg.Definitions(jobs=[job], schedules=[schedule])
