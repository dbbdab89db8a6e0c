"""How a training set is joined."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JoinOptions:
    """How features are called, and which rows count.

    Attributes:
        full_feature_names: call a feature `<view>__<feature>`.
        known_at_the_time: leave out what was written only after a row's moment, as a later correction is.
    """

    full_feature_names: bool = False
    known_at_the_time: bool = True


AS_IT_WAS = JoinOptions()
