"""Batches of rasters: converted to cloud-optimised GeoTIFFs by a process of its own, and published."""
