"""The demo, on a laptop or a cluster: a batch that is delivered, what becomes of it, and the features at the end."""
