"""A compute engine for Feast: rows of Postgres become hashes in Redis, whole columns at a time.

`batch_engine: {type: terrane_features.engine.compute.RedisComputeEngine}` in feature_store.yaml sets it for everything
that materialises: `store.materialize`, the command line and this location's assets.

`support` says what it can do, `reading` takes rows from Postgres, `scalars`, `lists` and `commands` encode them,
`pipeline` and `cluster` speak with Redis, `writing` puts it together, and `compute` is what Feast calls.
"""
