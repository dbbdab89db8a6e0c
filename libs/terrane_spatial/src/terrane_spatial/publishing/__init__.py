"""From the tables of a run to the batch in the lake: GeoParquet, further formats, STAC, map and index."""
