"""Feast's own server behind our paths: run where `FEATURE_SERVER_STOCK` says so, or the store is no single Redis."""
