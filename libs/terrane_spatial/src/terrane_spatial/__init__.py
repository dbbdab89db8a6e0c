"""Spatial batches, from the landing zone through PostGIS into the lake: the engine and its components."""
