"""The charts: what they depend on, their schemas and READMEs, and packing and releasing them."""
