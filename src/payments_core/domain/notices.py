"""Events that say something of other events: that one could not be made, and which refunds were told.

In rare cases Stripe fails to make an event; it is then in no list, and Stripe sends a thin event that names the object
(https://docs.stripe.com/webhooks/handle-irrecoverable-events, a public preview at the time of writing). The thin event
itself holds little more than its id; the name of the object is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from attrs import define, field
from pydantic_core import from_json

from .news import REFUND_OBSERVED
from .stripe_objects import Document, child, items, number, reference, text

#: By these an event tells of a refund; the last one carries the charge, which says of itself what was refunded.
REFUND_EVENTS: Final = (
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.refund.updated",
    REFUND_OBSERVED,
    "charge.refunded",
)


def object_named(notice: Document) -> str | None:
    """The id of the object of which an event is missing; None where the notice does not say."""
    impact = child(child(notice, "data"), "impact") or child(notice, "impact")
    return text(child(impact, "related_object"), "id") or text(impact, "related_object_id")


def document_of(body: bytes) -> Mapping[str, Any]:
    """A stored body as far as it can be read, empty where it cannot."""
    try:
        value: object = from_json(body)
    except ValueError:
        return {}
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


@define
class ToldRefunds:
    """The refunds that events have told of."""

    ids: set[str] = field(factory=set[str])
    #: By charge, when it was last told what was refunded of it (Unix seconds).
    charges: dict[str, int] = field(factory=dict[str, int])

    def add(self, body: bytes) -> None:
        """Note what an event tells."""
        event = document_of(body)
        told = child(child(event, "data"), "object")
        name = text(told, "id")
        if name is None:
            return
        if text(event, "type") != "charge.refunded":
            self.ids.add(name)
            return
        self.ids.update(str(refund["id"]) for refund in items(child(told, "refunds")))
        self.charges[name] = max(number(event, "created") or 0, self.charges.get(name, 0))

    def has(self, refund: Document) -> bool:
        """Whether a refund was told of."""
        if text(refund, "id") in self.ids:
            return True
        charge_id, created_s = reference(refund, "charge"), number(refund, "created")
        return charge_id is not None and created_s is not None and self.charges.get(charge_id, -1) >= created_s
