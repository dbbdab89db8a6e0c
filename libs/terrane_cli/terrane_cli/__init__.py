"""The `terrane` command: sets a machine up, runs the platform on it, and shows what it does."""
