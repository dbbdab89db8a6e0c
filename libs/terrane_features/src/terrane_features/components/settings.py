"""What a defs.yaml may say about a repository's checks."""

from dataclasses import dataclass, field

import dagster as dg

from terrane_features.checks.drift import Limits


@dataclass
class DriftLimits(dg.Resolvable):
    """From when on a change against the last run is told.

    Attributes:
        psi: population stability index of a feature's values.
        null_rate: change of the share of nulls, up or down.
    """

    psi: float = 0.25
    null_rate: float = 0.05


@dataclass(frozen=True)
class CheckSettings:
    """Limits of a repository's checks, as its views' assets use them."""

    fresh_within_hours: float = 26
    limits: Limits = field(default_factory=Limits)
