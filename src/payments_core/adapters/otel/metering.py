"""`Meter` by OpenTelemetry's instruments.

Names and units follow its conventions: dotted, lower-case, the unit beside the name and not in it.
https://opentelemetry.io/docs/specs/semconv/general/metrics/
"""

from __future__ import annotations

from inspect import getfullargspec
from typing import Final

from opentelemetry import metrics

from payments_core._version import __version__
from payments_core.ports import StoreHealth, WebhookOutcome

#: Seconds; most runs take milliseconds, and one may take as long as its lease.
_BOUNDARIES_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


def is_recent() -> bool:
    """Whether the installed API has what is used here: 1.30 or later."""
    taken = getfullargspec(metrics.Meter.create_histogram)
    return "explicit_bucket_boundaries_advisory" in (*taken.args, *taken.kwonlyargs)


class OtelMeter:
    """See `payments_core.ports.Meter`. Without `meter` it is that of the process's provider, set now or later."""

    def __init__(self, meter: metrics.Meter | None = None) -> None:
        made = meter or metrics.get_meter("payments_core", __version__)
        self._webhooks = made.create_counter(
            "payments.webhooks", "{webhook}", "Requests to the webhook's route, by what became of them"
        )
        self._runs = made.create_histogram(
            "payments.events.duration",
            "s",
            "Runs of received events, by how they ended",
            explicit_bucket_boundaries_advisory=_BOUNDARIES_S,
        )
        self._facts = made.create_counter("payments.facts", "{fact}", "What happened to payments, each once, by type")
        self._relayed = made.create_counter("payments.outbox.events", "{event}", "Outgoing events the relay marked")
        self._oldest = made.create_gauge("payments.inbox.oldest_age", "s", "Age of the oldest event not handled")
        self._dead = made.create_gauge("payments.inbox.dead_letters", "{event}", "Events whose handling was given up")
        self._backlog = made.create_gauge("payments.outbox.backlog", "{event}", "Outgoing events owed to the broker")
        self._quarantined = made.create_gauge("payments.quarantined", "{payment}", "Payments that wait for somebody")

    def webhook(self, outcome: WebhookOutcome, *, cause: str | None = None) -> None:
        """See Meter."""
        self._webhooks.add(1, {"outcome": outcome} if cause is None else {"outcome": outcome, "cause": cause})

    def handled(self, outcome: str, *, seconds: float) -> None:
        """See Meter."""
        self._runs.record(seconds, {"outcome": outcome})

    def told(self, event_type: str) -> None:
        """See Meter."""
        self._facts.add(1, {"type": event_type})

    def relayed(self, *, published: int, parked: int) -> None:
        """See Meter."""
        if published:
            self._relayed.add(published, {"outcome": "published"})
        if parked:
            self._relayed.add(parked, {"outcome": "parked"})

    def standing(self, health: StoreHealth) -> None:
        """See Meter."""
        self._oldest.set(health.oldest_unhandled_s)
        self._dead.set(health.dead_letters)
        self._backlog.set(health.outbox_backlog)
        self._quarantined.set(health.quarantined)
