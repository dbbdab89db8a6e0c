"""A spatial dataset, declared in YAML and SQL: batches of the landing zone become a published asset of the lake."""

from pathlib import Path
from typing import Annotated, Any, Literal

import dagster as dg
from pydantic import Field

from terrane.components.yaml_lines import component_file, line_of
from terrane.ownership import Ownership, ownership
from terrane_spatial.components.common import (
    Freshness,
    Keep,
    Shown,
    index_asset,
    lake_asset,
    landing_spec,
    limit_mistakes,
    limits_of,
)
from terrane_spatial.components.mistakes import of_dataset, of_preview, of_tables, parsed_requirements, refuse
from terrane_spatial.components.scaffolding import DatasetScaffolder
from terrane_spatial.files.formats import VECTORS, declared
from terrane_spatial.runs import names
from terrane_spatial.runs.names import published
from terrane_spatial.runs.ops import checks_of, export_op, load_op, transform_op
from terrane_spatial.runs.work import Dataset
from terrane_spatial.transforms.parsing import SCRIPT, Mistake, Script, StepsError, parse
from terrane_spatial.transforms.references import check_references
from terrane_spatial.transforms.schema import describe_steps
from terrane_spatial.transforms.step import Step


class Preview(dg.Model, dg.Resolvable):
    """Which tables of the run's schema are drawn, in degrees."""

    polygons: str | None = None
    points: str | None = None


def _as_written(_: dg.ResolutionContext, steps: Any) -> Any:
    """What is written without templating, which would make the number -99 of the text "-99"."""
    return steps


@dg.scaffold_with(DatasetScaffolder)
class SpatialDataset(dg.Component, dg.Model, dg.Resolvable):
    """A dataset whose batches are loaded into PostGIS, transformed by steps and SQL, and published into the lake.

    Steps run in a schema of the run's own, where the inputs are tables with a column `geometry`. Steps of the library
    tell by themselves what they do to rows. SQL writes it into `_tally (table_name, outcome, reason, rows)` with the
    outcomes dropped, duplicate, merged, made and repaired. An output is the table `out_<output>`, or the table of its
    name as the steps leave it, with a column `geometry` in EPSG:4326.
    """

    dataset: str = Field(
        description="The name: of the manifest's field, of the asset data_lake/<name>, of the lake's folder."
    )
    description: str = Field(description="What is published, for people.")
    inputs: list[str] = Field(description="The tables a batch must bring, one a file, named for the file.")
    steps: Annotated[list[dict[str, Any]], dg.Resolver(_as_written, model_field_type=list[dict[str, Any]])] = Field(
        default_factory=list,
        json_schema_extra=describe_steps,
        description="What is done, in order: each the name of a step of the library with its parameters, or sql: file.",
    )
    sql: list[str] = Field(
        default_factory=list, description="SQL files beside the YAML file, in order: short for steps that are all sql."
    )
    outputs: list[str] = Field(
        description="What is published as GeoParquet: tables out_<name>, or <name> where there is no such table."
    )
    formats: list[str] = Field(
        default=list(VECTORS), description=f"Formats a batch's files may have, by content: {', '.join(VECTORS)}."
    )
    exports: list[Literal["flatgeobuf", "pmtiles"]] = Field(
        default_factory=list, description="Formats in which every output is published beside GeoParquet."
    )
    require: Annotated[dict[str, Any], dg.Resolver(_as_written, model_field_type=dict[str, Any])] = Field(
        default_factory=dict,
        description="What a table must be, by the name of an input or an output: columns, bounds, rows, unique.",
    )
    row_count: str = Field(description="The output whose rows are the asset's row count.")
    preview: Preview = Preview()
    freshness: Freshness
    retention: Keep = Keep()
    limits: dict[str, float] = Field(
        default_factory=dict, description="Limits that are others than the environment's: docs/spatial.md lists them."
    )
    tags: dict[str, str] = Field(default_factory=dict)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The assets of landing zone, lake, with its three steps, and index, and the retention's job."""
        folder = Path(context.path)
        mistakes = {
            **of_dataset(self.dataset),
            **of_tables(self.inputs, self.outputs, self.row_count),
            **self.freshness.mistakes(),
            **self.retention.mistakes(),
            **limit_mistakes(self.limits),
        }
        requirements, wrong = parsed_requirements(self.require, {*self.inputs, *self.outputs})
        refuse(folder, self.dataset, {**mistakes, **wrong})
        steps = self._checked_steps(folder)
        drawn = (self.preview.polygons, self.preview.points)
        refuse(folder, self.dataset, of_preview(drawn, self.inputs, self.outputs, steps))
        dataset = Dataset(
            name=self.dataset,
            description=self.description,
            inputs=tuple(self.inputs),
            steps=steps,
            outputs=tuple(self.outputs),
            polygons=self.preview.polygons,
            points=self.preview.points,
            exports=tuple(self.exports),
            formats=declared(self.formats),
            row_count=self.row_count,
            limits=limits_of(self.limits),
            requirements=requirements,
        )
        job, schedule = self.retention.of(dataset)
        owned = ownership(Path(context.project_root))
        landing, lake = landing_spec(self.dataset, self.tags, owned), self._asset(dataset, owned)
        assets = [landing, lake, index_asset(dataset, self.tags, owned)]
        return dg.Definitions(assets=assets, jobs=[job], schedules=[schedule])

    def _checked_steps(self, folder: Path) -> tuple[Step | Script, ...]:
        """The steps, once nothing refers to what is not there. Raises ValueError with file, line and reason."""
        try:
            made = self._steps(folder)
            check_references(self.dataset, made, self.inputs, self.outputs)
        except StepsError as error:
            file = component_file(folder)
            places = [line_of(file, mistake.place, {"dataset": self.dataset}) for mistake in error.mistakes]
            told = [f"{file}:{line}: {m.sentence}" for line, m in zip(places, error.mistakes, strict=True)]
            raise ValueError(f"dataset {self.dataset}: " + "; ".join(told)) from None
        return made

    def _steps(self, folder: Path) -> tuple[Step | Script, ...]:
        if self.steps and self.sql:
            told = "there are both steps and sql: put its files among the steps"
            raise StepsError(self.dataset, [Mistake(("sql",), told)])
        absent = [name for name in self.sql if not (folder / name).is_file()]
        if absent:
            raise FileNotFoundError(
                f"dataset {self.dataset} names SQL files that are not in {folder}: {', '.join(absent)}"
            )
        return parse(self.dataset, self.steps or [{SCRIPT: name} for name in self.sql], folder)

    def _asset(self, dataset: Dataset, owned: Ownership) -> dg.AssetsDefinition:
        key = published(self.dataset)
        load, transform, export = load_op(dataset), transform_op(dataset, key), export_op(dataset)

        def compose(batches: Any) -> dict[str, Any]:
            transformed, *checked = transform.alias(names.TRANSFORM)(load.alias(names.LOAD)(batches))
            checks = {f"{key.to_python_identifier()}_{n}": c for n, c in zip(about, checked, strict=True)}
            return {"result": export.alias(names.EXPORT)(transformed), **checks}

        about = checks_of(dataset)
        specs = [dg.AssetCheckSpec(name, asset=key, blocking=True, description=told) for name, told in about.items()]
        shown = Shown({"gdal", "postgres", "parquet"}, self.tags, owned)
        return lake_asset(dataset, compose, shown, self.freshness, specs)
