"""Training sets: features as they were known at each of many moments, as Parquet in the lake."""
