"""The run of a batch: its operations and stages, its schema in PostGIS, and what becomes of it when a stage fails."""
