"""What a server counts, for Prometheus, under text-embeddings-inference's names where they mean the same."""

import os
from collections import Counter as Count
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Histogram, Metric

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""prometheus_client's variable: where processes keep their counts, so that one can tell those of all."""

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


def share(folder: Path) -> None:
    """Let the workers that are started next keep their counts in a folder.

    Call before prometheus_client is imported.
    """
    os.environ[FOLDER_VARIABLE] = str(folder)


class _Early(list[float]):
    """Keeps what is observed, until there is a histogram."""

    observe = list.append


class Metrics:
    """A worker's counts. ``exposed`` tells those of all workers, and of workers that were replaced.

    What only adds up is a number of Python's between two flushes: prometheus_client's own sums would take as long as
    the JSON of a request.
    """

    def __init__(self) -> None:
        self._single = self._batch = self._single_success = self._batch_success = self._texts = self._tokens = 0
        self._failed: Count[str] = Count()
        self._duration: Histogram | _Early = _Early()
        self._queue_duration: Histogram | _Early = _Early()
        self._inference_duration: Histogram | _Early = _Early()
        self._registry: CollectorRegistry | None = None
        self.running = 0

    def open(self) -> None:
        """Hand all counts to prometheus_client, those until now too. To import it takes a tenth of a worker's start, so
        this comes after it. Call it from the thread that counts.
        """
        if self._registry is not None:
            return
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = self._registry = CollectorRegistry()
        requests = Counter("te_request_count", "Requests for vectors.", ["method"], registry=registry)
        successes = Counter("te_request_success", "Requests that got their vectors.", ["method"], registry=registry)
        self._failures = Counter("te_request_failure", "Requests that got an error.", ["err"], registry=registry)
        self._sums = (
            requests.labels("single"),
            requests.labels("batch"),
            successes.labels("single"),
            successes.labels("batch"),
            Counter("te_embed_count", "Texts that vectors were made of.", registry=registry),
            Counter("m2v_onnx_tokens", "Tokens of these texts.", registry=registry),
        )

        def histogram(name: str, about: str, early: Histogram | _Early) -> Histogram:
            made = Histogram(name, about, registry=registry, buckets=SECONDS)
            assert isinstance(early, _Early)
            for seconds in early:
                made.observe(seconds)
            return made

        self._duration = histogram("te_request_duration", "Seconds from a request to its answer.", self._duration)
        self._queue_duration = histogram(
            "te_request_queue_duration", "Seconds that a large request waits for a thread.", self._queue_duration
        )
        self._inference_duration = histogram(
            "te_request_inference_duration",
            "Seconds of work on a request, tokenizing and writing numbers included.",
            self._inference_duration,
        )
        self._queue_size = Gauge(
            "te_queue_size", "Requests that are worked on or wait.", registry=registry, multiprocess_mode="livesum"
        )

    def worked(self, texts: int, seconds: float) -> None:
        """Vectors were made."""
        self._texts += texts
        self._inference_duration.observe(seconds)

    def waited(self, seconds: float) -> None:
        """A large request waited for its first thread."""
        self._queue_duration.observe(seconds)

    def answered(self, single: bool, seconds: float, tokens: int) -> None:
        """A request got its vectors."""
        if single:
            self._single += 1
            self._single_success += 1
        else:
            self._batch += 1
            self._batch_success += 1
        self._tokens += tokens
        self._duration.observe(seconds)

    def failed(self, single: bool, kind: str) -> None:
        """A request for vectors got an error."""
        if single:
            self._single += 1
        else:
            self._batch += 1
        self._failed[kind] += 1

    def flush(self) -> None:
        """Tell prometheus_client, and so the other workers. Called each second, and before the counts are told."""
        if self._registry is None:
            return
        numbers = (
            self._single, self._batch, self._single_success, self._batch_success, self._texts, self._tokens,
        )  # fmt: skip
        self._single = self._batch = self._single_success = self._batch_success = self._texts = self._tokens = 0
        for counter, number in zip(self._sums, numbers, strict=True):
            counter.inc(number)
        for kind, number in self._failed.items():
            self._failures.labels(kind).inc(number)
        self._failed.clear()
        self._queue_size.set(self.running)

    def exposed(self) -> bytes:
        """All workers' counts in Prometheus' text format."""
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        self.open()
        self.flush()
        registry = self._registry
        assert registry is not None
        if (folder := os.environ.get(FOLDER_VARIABLE)) is not None:
            _forget_dead(Path(folder))
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(_Named(registry))


def _forget_dead(folder: Path) -> None:
    """Leave out what workers that were killed were working on: their clients wait no longer."""
    from prometheus_client.multiprocess import mark_process_dead

    for path in folder.glob("gauge_live*_*.db"):
        process = int(path.stem.rpartition("_")[2])
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            with suppress(FileNotFoundError):  # another worker is asked too
                mark_process_dead(process)  # type: ignore[no-untyped-call]


class _Named:
    """A registry whose counters have the names that they were given.

    prometheus_client appends ``_total`` to each, and text-embeddings-inference's have none: its dashboards would find
    nothing. In the text format a metric without a type may have any name.
    """

    def __init__(self, registry: "CollectorRegistry") -> None:
        self._registry = registry

    def collect(self) -> "Iterator[Metric]":
        from prometheus_client import Metric

        for metric in self._registry.collect():
            if metric.type != "counter" or not metric.name.startswith("te_"):
                yield metric
                continue
            named = Metric(metric.name, metric.documentation, "unknown")
            named.samples = [
                sample._replace(name=sample.name.removesuffix("_total"))
                for sample in metric.samples
                if not sample.name.endswith("_created")
            ]
            yield named
