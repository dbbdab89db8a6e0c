"""Feast's SQL registry in the warehouse: planned, applied, and what is kept beside it."""
