"""What the server counts of itself."""

from prometheus_client import CollectorRegistry, Counter, Histogram

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Counted by route template, never by path: no label comes from a user."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter("archiver_requests", "Requests answered.", labels, registry=self.registry)
        self._seconds = Histogram(
            "archiver_request_seconds", "Time to the first byte.", ("route",), buckets=BUCKETS, registry=self.registry
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        self._requests.labels(method if method in KNOWN else "other", route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)


KNOWN = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})
