"""Components for Feast repositories: `type: terrane_features.components.<Name>` in a defs.yaml."""

from terrane_features.components.feature_views import FeatureViews
from terrane_features.components.training_set import TrainingSet

__all__ = ["FeatureViews", "TrainingSet"]
