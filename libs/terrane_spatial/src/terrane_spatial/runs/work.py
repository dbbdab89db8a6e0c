"""What the steps of a run work on: a dataset as its YAML declares it, one run's work, and what is published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from terrane.object_store import ObjectStoreResource
from terrane.postgres import PostgresResource
from terrane.publishing import Commit
from terrane_spatial.files.formats import BY_NAME, VECTORS, Format
from terrane_spatial.intake.ledger import LedgerResource
from terrane_spatial.transforms.parsing import Script
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
    """

    name: str
    description: str
    inputs: tuple[str, ...]
    steps: tuple[Step | Script, ...]
    outputs: tuple[str, ...]
    polygons: str | None = None
    points: str | None = None
    exports: tuple[str, ...] = ()
    formats: tuple[Format, ...] = tuple(BY_NAME[name] for name in VECTORS)


@dataclass(frozen=True)
class Work:
    """One run's work on a dataset: where its stores are, who it is and whom it re-executes.

    Attributes:
        wanted: the batch to work on; empty for the newest that was accepted.
        lift_quarantine: whether a batch may be worked on that is quarantined.
        run_ids: this run's id first, then those of the runs it re-executes.
        say: where progress goes.
        observe: where the figures of loading go, by file, while it goes on.
    """

    dataset: Dataset
    postgres: PostgresResource
    store: ObjectStoreResource
    ledger: LedgerResource
    run_ids: tuple[str, ...]
    say: Callable[[str], None]
    wanted: str = ""
    lift_quarantine: bool = False
    observe: Callable[[Mapping[str, Any]], None] = lambda _: None

    @property
    def run_id(self) -> str:
        return self.run_ids[0]


@dataclass(frozen=True)
class Published:
    """What a run published, or found published: the commit, and the preview as PNG."""

    commit: Commit
    preview: bytes
