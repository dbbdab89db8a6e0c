"""What it takes from a source to what is served: loading, a day among many, histories, and faults while publishing."""
