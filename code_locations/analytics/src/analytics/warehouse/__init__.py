"""Writing raw tables into the warehouse."""
