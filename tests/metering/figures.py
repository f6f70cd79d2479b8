"""OpenTelemetry's own SDK, keeping in memory what it is told."""

from __future__ import annotations

from functools import cache

from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader

from payments_core.adapters.otel.metering import OtelMeter


@cache
def process_reader() -> InMemoryMetricReader:
    """What reads the figures of everything in this process that was given no meter; the API lets it be set once."""
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))
    return reader


class Figures:
    """A meter, and what came of it."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.meter = OtelMeter(MeterProvider([self._reader]).get_meter("payments_core"))

    def of(self, name: str) -> dict[str, float]:
        """The instrument's values by the words of their labels, of a histogram the number of records."""
        data = self._reader.get_metrics_data()
        found = [] if data is None else data.resource_metrics[0].scope_metrics[0].metrics
        return {
            " ".join(map(str, (point.attributes or {}).values())): (
                point.count if isinstance(point, HistogramDataPoint) else point.value  # type: ignore[union-attr]
            )
            for metric in found
            if metric.name == name
            for point in metric.data.data_points
        }
