"""The steps of a dataset, which work on the tables of the run's schema, and the balance of rows they must keep."""
