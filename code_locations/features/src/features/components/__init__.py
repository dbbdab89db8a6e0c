"""The component classes of this location: `type: features.components.<Name>` in a defs.yaml."""

from features.components.feature_views import FeatureViews
from features.components.training_set import TrainingSet

__all__ = ["FeatureViews", "TrainingSet"]
