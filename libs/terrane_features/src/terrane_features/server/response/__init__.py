"""An answer: read from Redis and written as JSON."""
