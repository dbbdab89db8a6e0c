"""Where a feature server is, as a resource."""

from __future__ import annotations

import os

import dagster as dg

VARIABLE = "FEATURE_SERVER_URL"


class FeatureServer(dg.ConfigurableResource):
    """A running feature server.

    Attributes:
        url: `http://host:port`; empty where there is none.
    """

    url: str = ""

    @classmethod
    def from_env(cls) -> FeatureServer:
        """The server that `FEATURE_SERVER_URL` names, if it does: a variable nobody has to set."""
        return cls(url=dg.EnvVar(VARIABLE)) if os.environ.get(VARIABLE) else cls()
