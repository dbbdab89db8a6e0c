"""The location's definitions, found here by Dagster: a folder a dataset, a module a sensor."""
