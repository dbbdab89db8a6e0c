"""The spatial location beside the stock tools: loading, exporting, rasters."""
