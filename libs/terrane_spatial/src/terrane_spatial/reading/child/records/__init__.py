"""Files taken apart by hand, by the sentences of their formats: no library of GIS, and nothing shared with GDAL."""
