"""Two environments on the same stores, each running the platform's story: what of one the other changes."""
