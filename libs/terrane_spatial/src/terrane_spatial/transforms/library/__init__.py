"""The steps that a dataset's YAML may name."""
