"""Real Postgres, Redis and MinIO as processes of this machine, for the laptop and for tests.

Every server listens on loopback alone, on a port nobody else had, with a password; none of them runs as root.
"""
