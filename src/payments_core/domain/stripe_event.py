"""The strict reading of a stored event, and whether it is ours to act on.

Intake reads only the envelope; here the whole body is read by the one strict reader, so that nothing is acted on that
two parsers could read differently.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ..errors import MalformedEvent, MalformedJson
from .checkout import APP_KEY, PAYMENT_ID_KEY
from .envelope import FAILURE_NOTICE, envelope_of
from .events import StripeEvent
from .strict_json import read_json

#: Stripe's own objects nest less than twenty levels deep.
_MAX_DEPTH = 64


def read_event(body: bytes) -> StripeEvent:
    """The event in `body`. Raises MalformedEvent, with the reason, for anything that cannot be read one way only."""
    try:
        document = read_json(body, max_depth=_MAX_DEPTH)
    except MalformedJson as wrong:
        raise MalformedEvent(str(wrong)) from None
    if not isinstance(document, dict):
        raise MalformedEvent("The signed body is not an object.")
    envelope = envelope_of(document)
    # A thin event has no snapshot: it is its own object.
    thin = envelope.type == FAILURE_NOTICE
    data = cast("Mapping[str, Any]", {"object": document} if thin else document["data"])
    version, previous = document.get("api_version"), data.get("previous_attributes")
    return StripeEvent(
        id=envelope.event_id,
        type=envelope.type,
        object=cast("Mapping[str, Any]", data["object"]),
        account=envelope.account,
        livemode=envelope.livemode,
        created_s=envelope.created_s,
        api_version=version if isinstance(version, str) else None,
        previous_attributes=cast("Mapping[str, Any]", previous) if isinstance(previous, dict) else {},
    )


def mode_problem(event: StripeEvent, *, livemode: bool, account: str | None) -> str | None:
    """Why an event must not be acted on under this configuration; None when it may.

    What is not stated is unknown, not wrong.
    """
    if event.livemode is not None and event.livemode != livemode:
        ours, theirs = ("live", "test") if livemode else ("test", "live")
        return f"the event is of {theirs} mode and the key of {ours} mode: the wrong endpoint or secret is configured"
    if event.account is not None and event.account != account:
        return "the event is of another account than PAYMENTS_ACCOUNT"
    return None


def is_of_another_app(metadata: Mapping[str, str], *, app: str | None, payment_known: bool) -> bool:
    """Whether an object bears the mark of another application on the same Stripe account.

    `payment_known`: its payment id is in our own database, which outranks every name. An unmarked object is nobody's;
    where neither side has a name, an unknown id is told as foreign rather than lost.
    """
    if payment_known or (PAYMENT_ID_KEY not in metadata and APP_KEY not in metadata):
        return False
    return metadata.get(APP_KEY) != app
