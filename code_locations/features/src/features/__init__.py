"""The features location: gold features, applied and materialised with Feast, and served."""
