"""Spatial batches: from the landing zone through PostGIS into the lake."""
