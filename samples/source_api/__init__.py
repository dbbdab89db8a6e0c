"""The product's API, in development: a small HTTP server whose data are a pure function of the day."""
