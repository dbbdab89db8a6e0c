"""What developers check: tests, types, definitions and dependencies, each in the environment it belongs to."""
