"""The work on a batch of rasters: fetched, checked, converted, published."""

from __future__ import annotations

import math
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from terrane.object_store import LANDING_ZONE
from terrane.publishing import Content
from terrane_spatial.files.archives import Limits
from terrane_spatial.files.fetch import fetch_file
from terrane_spatial.files.formats import of_path
from terrane_spatial.intake.ledger import Batch
from terrane_spatial.intake.manifest import manifest_key, parse
from terrane_spatial.publishing import batch_files, stac
from terrane_spatial.rasters import cog_writer, raster_preview
from terrane_spatial.rasters.cog_writer import Cog, Wanted
from terrane_spatial.runs import stages
from terrane_spatial.runs.work import Published, Work
from terrane_spatial.sandbox.endings import beside_control


def convert_and_publish(work: Work, categories: bool) -> Published:
    """Publishes the batch's rasters; a batch that is published already stays as it is.

    Args:
        categories: whether pixels are codes, which have no average.
    """
    stages.require_put_if_absent(work)
    batch = stages.begin(work)
    commit = stages.published_before(work)
    published = batch_files.published(work, commit) if commit else _publish(work, batch, categories)
    stages.record(work, published.commit)
    return published


def _publish(work: Work, batch: Batch, categories: bool) -> Published:
    begun, dataset = time.monotonic(), work.dataset
    with tempfile.TemporaryDirectory() as folder:
        cogs = _convert(work, batch, Path(folder), categories)
        picture = raster_preview.draw(next(iter(cogs.values())))
        files = {name: Content.of(cog.path) for name, cog in cogs.items()}
        files[stac.PREVIEW_FILE] = Content.of(picture)
        bounds = batch_files.union([cog.bounds_4326 for cog in cogs.values()])
        moment = batch_files.data_time_of(batch)
        about = stac.About(dataset.name, batch.batch_id, dataset.description, moment, bounds)
        files[stac.ITEM_FILE] = Content.of(stac.item_json(about, files, rasters=cogs))
        summary = {
            "rasters": {name: _facts(cog) for name, cog in cogs.items()},
            "bounds": list(bounds),
            "seconds": round(time.monotonic() - begun, 3),
        }
        return batch_files.commit(work, files, summary, moment)


def _convert(work: Work, batch: Batch, folder: Path, categories: bool) -> Mapping[str, Cog]:
    """The batch's rasters by the name of what was written, each converted in a folder that its reader alone can see."""
    threading.Thread(target=cog_writer.prepare, name="prepare", daemon=True).start()
    zone, cogs, limits = work.store.bucket(LANDING_ZONE), {}, work.dataset.limits
    archives = Limits(total_bytes=limits.unpacked_mb << 20, ratio=limits.unpacked_ratio)
    for number, file in enumerate(parse(manifest_key(batch.batch_id), batch.manifest.encode()).files):
        begun = time.monotonic()
        arrival, made = folder / f"in-{number}", folder / f"out-{number}"
        arrival.mkdir()
        made.mkdir()
        path = fetch_file(zone, file, arrival, work.dataset.formats, archives)
        kind, target = of_path(path), made / f"{file.table}.tif"
        wanted = Wanted(file.crs, file.layer, categories)
        attempt = partial(cog_writer.to_cog, path, file.key, target, wanted)
        cog = beside_control(attempt, partial(cog_writer.convert_control, kind))
        path.unlink()
        cogs[cog.path.name] = cog
        size = f"{cog.width} x {cog.height} pixels in {len(cog.bands)} bands"
        work.say(f"{file.key}: {size}, converted in {time.monotonic() - begun:.1f} s")
    return cogs


def _facts(cog: Cog) -> dict[str, Any]:
    """What the commit says of a raster. JSON has no NaN and no infinity, which nodata may be: they are words in it."""
    facts = {name: value for name, value in asdict(cog).items() if name not in ("path", "wkt", "bands")}
    return {**facts, "bands": [{name: _word(value) for name, value in asdict(band).items()} for band in cog.bands]}


def _word(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
