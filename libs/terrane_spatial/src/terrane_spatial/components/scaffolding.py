"""What `dg scaffold defs` writes for a dataset."""

import dagster as dg

from terrane.components.scaffolding import name_of

FRESHNESS = {"reason": "batches come when their producer sends them"}


class DatasetScaffolder(dg.Scaffolder):
    """Writes a dataset of features with names: one input, three steps, one output."""

    def scaffold(self, request: dg.ScaffoldRequest) -> None:
        name = name_of(request)
        attributes = {
            "dataset": name,
            "description": "Features with names, as they are delivered, until there is something better to publish.",
            "inputs": ["features"],
            "steps": [
                {"select": {"table": "features", "columns": {"name": "name"}}},
                {"repair": {"table": "features", "keep": "polygons", "parts": "multi"}},
                {"reproject": {"table": "features"}},
            ],
            "outputs": ["features"],
            "row_count": "features",
            "freshness": FRESHNESS,
        }
        dg.scaffold_component(request, attributes)


class RasterScaffolder(dg.Scaffolder):
    """Writes a dataset of rasters."""

    def scaffold(self, request: dg.ScaffoldRequest) -> None:
        described = "Rasters as they are delivered, as cloud-optimised GeoTIFFs."
        attributes = {"dataset": name_of(request), "description": described, "freshness": FRESHNESS}
        dg.scaffold_component(request, attributes)
