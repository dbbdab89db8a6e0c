"""The server's copy of the registry: what can be asked for, and whether it can be answered."""
