"""Components of the location: what repeats, to be used from `defs/**/defs.yaml`."""

from spatial.components.raster_dataset import RasterDataset
from spatial.components.spatial_dataset import SpatialDataset

__all__ = ["RasterDataset", "SpatialDataset"]
