"""The platform on a local kind cluster: making it, deploying to it, and looking at it."""
