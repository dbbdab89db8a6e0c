"""Faults put into rendered objects, to see whether the charts' tests notice: `make mutate-charts`."""
