"""The resources that only this location has."""

from __future__ import annotations

import dagster as dg

from analytics.source.client import SourceClient


class SourceApiResource(dg.ConfigurableResource):
    """The product's API.

    Attributes:
        url: as `http://host:port`, without a path.
        key: what the API knows the platform by.
        timeout_s: how long to wait for a connection, and for each piece of an answer.
        attempts: how often a request is sent before its failure is the run's.
        backoff_s: the wait after the first attempt; each further one waits twice as long.
    """

    url: str
    key: str
    timeout_s: float = 10.0
    attempts: int = 5
    backoff_s: float = 0.5

    @classmethod
    def from_env(cls) -> SourceApiResource:
        """The resource that reads the platform's variables when a run starts."""
        return cls(url=dg.EnvVar("SOURCE_API_URL"), key=dg.EnvVar("API_KEY"))

    def client(self) -> SourceClient:
        """A client with a connection of its own; to be used as a context manager."""
        return SourceClient(self.url, self.key, self.timeout_s, self.attempts, self.backoff_s)
