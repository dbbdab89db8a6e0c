"""Whose the location's assets are."""

from terrane.ownership import Ownership

OWNED = Ownership("team:analytics", "analytics")
