"""Copying what was read into tables of the run's schema, with every change of a value counted."""
