"""What the steps of a run work on: a dataset as its YAML declares it, one run's work, and what is published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from terrane.object_store import ObjectStoreResource
from terrane.postgres import PostgresResource
from terrane.publishing import Commit
from terrane_spatial.files.formats import BY_NAME, VECTORS, Format
from terrane_spatial.intake.ledger import LedgerResource
from terrane_spatial.limits import Limits, from_environment
from terrane_spatial.transforms.parsing import Script
from terrane_spatial.transforms.requirements import Requirement
from terrane_spatial.transforms.step import Step


@dataclass(frozen=True)
class Dataset:
    """What a dataset is made of: the tables it needs, its steps in order, the tables it publishes and what is drawn.

    Attributes:
        inputs: tables that a batch must bring, no more and no fewer.
        steps: steps of the library and SQL files, run one after the other in the run's schema.
        outputs: names of published tables; `out_<name>` in the schema, `<name>.parquet` in the lake.
        polygons, points: tables of the schema for the preview.
        formats: of which the batch's files must be, by their content.
        exports: further formats of every output: `flatgeobuf`, `pmtiles`.
        row_count: the output whose rows are the asset's; empty for rasters.
        limits: how much its runs may take.
        requirements: of inputs and outputs, by their names.
    """

    name: str
    description: str
    inputs: tuple[str, ...]
    steps: tuple[Step | Script, ...]
    outputs: tuple[str, ...]
    polygons: str | None = None
    points: str | None = None
    exports: tuple[str, ...] = ()
    row_count: str = ""
    limits: Limits = field(default_factory=from_environment)
    formats: tuple[Format, ...] = tuple(BY_NAME[name] for name in VECTORS)
    requirements: Mapping[str, Requirement] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """One run's work on a batch: where its stores are, who it is and what it tells.

    Attributes:
        batch_id: the batch to work on, which is the run's partition.
        say: where progress goes.
        observe: where the figures of loading go, by file, while it goes on.
        tag: adds tags to the run.
        lift_quarantine: whether a batch may be worked on that is quarantined.
        tries_left: how often the stage may be tried again after a temporary error.
    """

    dataset: Dataset
    batch_id: str
    run_id: str
    postgres: PostgresResource
    store: ObjectStoreResource
    ledger: LedgerResource
    say: Callable[[str], None] = lambda _: None
    observe: Callable[[Mapping[str, Any]], None] = lambda _: None
    tag: Callable[[dict[str, str]], None] = lambda _: None
    lift_quarantine: bool = False
    tries_left: int = 0


@dataclass(frozen=True)
class Published:
    """What a run published, or found published: the commit, and what the run's events tell of it.

    Attributes:
        metadata: made before the commit, so that nothing can fail after it.
    """

    commit: Commit
    metadata: Mapping[str, Any]
