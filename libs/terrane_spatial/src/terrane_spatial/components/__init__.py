"""Components for spatial datasets: `type: terrane_spatial.components.<Name>` in a defs.yaml."""

from terrane_spatial.components.raster_dataset import RasterDataset
from terrane_spatial.components.spatial_dataset import SpatialDataset

__all__ = ["RasterDataset", "SpatialDataset"]
