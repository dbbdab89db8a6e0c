"""Commands on what the platform holds, whatever runs it."""
