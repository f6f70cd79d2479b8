"""Figures for whoever watches: what came in, what became of it, and how far behind the work is."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

from .store import StoreHealth

#: What became of a webhook. `unreadable` is authentic and no event of Stripe's, and is kept; `refused` has no signature
#: that is ours; `unavailable` could not be stored, and comes again.
WebhookOutcome: TypeAlias = Literal["stored", "repeated", "unreadable", "refused", "unavailable"]


class Meter(Protocol):
    """Counts, and never more than that.

    - No method raises or waits: each may be called on an event loop and between two statements of a transaction.
    - Every label is one of a fixed list of words; no id, name, amount or address is ever among them.
    """

    def webhook(self, outcome: WebhookOutcome, *, cause: str | None = None) -> None:
        """A webhook came; `cause` is the word for a refused signature."""
        ...

    def handled(self, outcome: str, *, seconds: float) -> None:
        """A worker ran an event, for so long; `outcome` is how that run ended."""
        ...

    def told(self, event_type: str) -> None:
        """A fact was committed with its handlers' writes: the type of its domain event."""
        ...

    def relayed(self, *, published: int, parked: int) -> None:
        """The relay marked so many outgoing events."""
        ...

    def standing(self, health: StoreHealth) -> None:
        """How far behind the work is, as it was just read."""
        ...


class Unmetered:
    """`Meter` where nobody counts."""

    def webhook(self, outcome: WebhookOutcome, *, cause: str | None = None) -> None:
        """See Meter."""

    def handled(self, outcome: str, *, seconds: float) -> None:
        """See Meter."""

    def told(self, event_type: str) -> None:
        """See Meter."""

    def relayed(self, *, published: int, parked: int) -> None:
        """See Meter."""

    def standing(self, health: StoreHealth) -> None:
        """See Meter."""
