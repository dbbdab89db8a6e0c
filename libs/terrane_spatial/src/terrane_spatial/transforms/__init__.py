"""The steps that a dataset's YAML composes: each a template of SQL with parameters that are checked."""
