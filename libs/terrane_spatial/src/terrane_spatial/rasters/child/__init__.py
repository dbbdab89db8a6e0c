"""What only the processes load that convert a raster, or draw it."""
