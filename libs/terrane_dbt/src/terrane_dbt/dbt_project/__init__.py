"""Running the dbt project, which is a folder of its own."""
