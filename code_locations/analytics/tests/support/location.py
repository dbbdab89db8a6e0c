"""The whole location with resources of a test's own, and what comes to it from the lake."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
from faulty_api import PLACES

from analytics.missing_days import RANGE_END_TAG, RANGE_START_TAG
from terrane.object_store import DATA_LAKE, ObjectStoreResource
from terrane.publishing import Commit, publish
from terrane_dbt.components import DbtModels

COUNTRIES = (("CIV", "Côte d'Ivoire", "Africa"), ("CHE", "Switzerland", "Europe"), (None, None, None))


@cache
def loaded() -> dg.Definitions:
    """What the location's folder defs/ holds, without resources."""
    import analytics

    return dg.load_from_defs_folder(path_within_project=Path(analytics.__file__).parent)


class Location:
    """The location with its resources: runs of it, on an instance of its own."""

    def __init__(self, resources: dict[str, object], instance: dg.DagsterInstance):
        self.resources, self.instance = resources, instance
        self.definitions = dg.Definitions.merge(loaded(), dg.Definitions(resources=resources))

    def use_dbt_project(self, folder: Path, **attributes: Any) -> None:
        """Runs the dbt project in that folder from now on, as it is now, with the rest of the location as it is."""
        models = DbtModels(project=str(folder), **attributes).build_defs(SimpleNamespace(project_root=folder))  # pyright: ignore
        others = [
            a for a in loaded().assets or () if not (isinstance(a, dg.AssetsDefinition) and a.op.name == "dbt_build")
        ]
        resources = dg.Definitions(resources=self.resources)
        self.definitions = dg.Definitions.merge(models, dg.Definitions(assets=others), resources)

    def run(
        self,
        *keys: str,
        days: tuple[str, str] | None = None,
        job: str = "__ASSET_JOB",
        config: Mapping[str, object] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """One run of the assets, with their checks, over the days from first to last; `config` is by step."""
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            run_config={"ops": {name: {"config": values} for name, values in (config or {}).items()}},
            asset_selection=[dg.AssetKey.from_user_string(key) for key in keys] or None,
            tags={RANGE_START_TAG: days[0], RANGE_END_TAG: days[1]} if days else {},
            raise_on_error=False,
        )

    def failures(self, result: dg.ExecuteInProcessResult) -> list[str]:
        """What each failed attempt of the run's steps says, the innermost error, in order."""
        found = []
        for event in result.all_events:
            if event.is_step_failure or event.is_step_up_for_retry:
                found.append(event.event_specific_data.error.to_string())  # pyright: ignore
        return found

    def models(self) -> list[str]:
        """The keys of everything dbt builds."""
        specs = self.definitions.resolve_all_asset_specs()
        return [spec.key.to_user_string() for spec in specs if "dbt" in spec.kinds]


def publish_places(store: ObjectStoreResource, batch_id: str = "places-1", names: tuple[str, ...] = PLACES) -> Commit:
    """A batch of places such as the location spatial publishes."""
    files = {"places.parquet": places_parquet(names)}
    return publish(store.bucket(DATA_LAKE), "places", batch_id, f"run-{batch_id}", files)


def places_parquet(names: tuple[str, ...]) -> bytes:
    """A file of places of those names."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = []
    # Without a row there were no columns either.
    for n, name in enumerate(names or ("none",)):
        code, country, continent = COUNTRIES[n % len(COUNTRIES)]
        rows.append(
            {
                "place_id": n + 1,
                "name": name,
                "country_iso_a3": code,
                "country": country,
                "continent": continent,
                "longitude": n / 3,
                "latitude": -n / 7,
                "geometry": b"\x01",
            }
        )
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows).slice(0, len(names)), sink)
    return sink.getvalue().to_pybytes()
