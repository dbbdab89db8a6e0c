"""A run of online/<view>: a table of gold becomes hashes in Redis, and is read back."""
