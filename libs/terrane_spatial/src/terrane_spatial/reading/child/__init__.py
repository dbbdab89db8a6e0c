"""What only the process loads that reads one file: GDAL, GeoParquet, geometries, times and reference systems."""
