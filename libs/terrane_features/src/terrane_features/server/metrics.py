"""What is counted, for Prometheus: nothing in it says whom a request was about."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()
SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
ENTITIES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


class Metrics:
    """The server's own metrics, and the process's."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = self._counter("requests", "Answers to requests for features", "status")
        self._values = self._counter("values", "Values that were answered", "feature_view", "status")
        self.handed_over = self._counter("handed_over", "Questions that Feast's own code had to answer")
        self.seconds = self._histogram("request_seconds", "From a request's first byte to its answer", SECONDS)
        self.redis_seconds = self._histogram("redis_seconds", "What Redis took of it", SECONDS)
        self.entities = self._histogram("request_entities", "Rows that were asked for at a time", ENTITIES)
        # Found once and kept: to find a child by its labels costs more than to count.
        self._by_status: dict[int, Counter] = {}
        self._by_view: dict[tuple[str, str], Counter] = {}

    def count_request(self, status: int, seconds: float) -> None:
        child = self._by_status.get(status)
        if child is None:
            child = self._by_status[status] = self._requests.labels(str(status))
        child.inc()
        self.seconds.observe(seconds)

    def count_values(self, view: str, by_status: Mapping[str, int]) -> None:
        for status, number in by_status.items():
            if number:
                child = self._by_view.get((view, status))
                if child is None:
                    child = self._by_view[view, status] = self._values.labels(view, status)
                child.inc(number)

    def watch(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """A gauge that is asked when somebody reads the metrics."""
        Gauge(f"feature_server_{name}", meaning, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        """All of it, in Prometheus's text format."""
        return generate_latest(self._registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"feature_server_{name}", meaning, labels, registry=self._registry)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"feature_server_{name}", meaning, buckets=buckets, registry=self._registry)
