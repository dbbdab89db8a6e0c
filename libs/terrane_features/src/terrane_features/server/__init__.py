"""The online feature server: `python -m terrane_features.server --host 127.0.0.1 --port 6566`.

It answers the reading part of Feast's HTTP contract, and starts, stays up and recovers whatever its stores do.
"""
