"""A request: parsed, checked, and planned."""
