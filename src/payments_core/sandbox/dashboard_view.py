"""What the dashboard shows, decided purely: the front page, one list, one object with its story, one event."""

from __future__ import annotations

import json
from typing import Literal

from attrs import frozen

from . import deliveries, render
from .amounts import amount_text
from .dashboard_tables import (
    EVENT_COLUMNS,
    FEW,
    LISTS,
    MANY,
    Table,
    clock_text,
    deliveries_of,
    event_row,
    object_url,
)
from .errors import JsonObject
from .records.events import Event
from .records.payments import PaymentIntent
from .shapes.checkout import page_url
from .state import Context

ActionName = Literal["advance", "dispute", "expire", "fail", "pass", "refund", "reject", "resend", "settle"]
#: What was done, said afterwards.
DONE: dict[str, str] = {
    "advance": "The sandbox's time was moved on.",
    "dispute": "A dispute was opened.",
    "expire": "The session has expired.",
    "fail": "The bank has refused the debit.",
    "pass": "The card's holder was authenticated.",
    "refund": "The money was given back.",
    "reject": "The card's holder was not authenticated.",
    "resend": "The event is sent again.",
    "settle": "The bank has paid the debit.",
}


@frozen
class Action:
    """Something that only the outside world does. `amount` asks how much, empty for all of it."""

    name: ActionName
    label: str
    amount: str | None = None


@frozen
class Front:
    """The front page."""

    base_url: str
    endpoints: tuple[str, ...]
    now: str
    ahead: str | None
    tables: tuple[Table, ...]


@frozen
class Sheet:
    """One object: its JSON, what can be done to it, and every event of the payment that it belongs to."""

    id: str
    kind: str
    amount: str | None
    shape: str
    actions: tuple[Action, ...]
    related: tuple[tuple[str, str, str], ...]
    story: Table
    deliveries: Table | None = None
    page: str | None = None


def front(context: Context, ahead_s: int) -> Front:
    """Everything at a glance."""
    state = context.state
    return Front(
        base_url=context.base_url,
        endpoints=tuple(endpoint.url for endpoint in state.endpoints),
        now=clock_text(context.now),
        ahead=_span(ahead_s) if ahead_s else None,
        tables=tuple(table(state, FEW) for table in LISTS.values()),
    )


def listing(context: Context, name: str) -> Table | None:
    """One list, or None for an unknown one."""
    table = LISTS.get(name)
    return None if table is None else table(context.state, MANY)


def sheet(context: Context, object_id: str) -> Sheet | None:
    """An object, or None for one the sandbox does not keep."""
    shape = render.by_id(context, object_id)
    if shape is None:
        return None
    intent_id = _intent_of(shape)
    related = _family(context, intent_id) if intent_id else {object_id: str(shape["object"])}
    story = [event for event in context.state.events if event.object.get("id") in {*related, object_id}]
    session = context.state.sessions.get(object_id)
    return Sheet(
        id=object_id,
        kind=str(shape["object"]).replace(".", " ").replace("_", " "),
        amount=_amount(shape),
        shape=json.dumps(shape, indent=2, ensure_ascii=False),
        actions=_actions(context, object_id, intent_id),
        related=tuple((one, kind, object_url(one)) for one, kind in related.items() if one != object_id),
        story=_story(context, story),
        page=page_url(session, "")
        if session and session.status == "open" and session.ui_mode == "hosted_page"
        else None,
    )


def event_sheet(context: Context, event_id: str) -> Sheet | None:
    """An event with its deliveries, or None for one that is forgotten."""
    event = context.state.events.get(event_id)
    if event is None:
        return None
    about = str(event.object.get("id", ""))
    kind = str(event.object.get("object", "object"))
    return Sheet(
        id=event_id,
        kind=f"Event {event.type}",
        amount=None,
        shape=json.dumps(render.event(context, event), indent=2, ensure_ascii=False),
        actions=(Action("resend", "Send again to all endpoints"),) if event.deliveries else (),
        related=((about, kind, object_url(about)),) if about else (),
        story=_story(context, []),
        deliveries=deliveries_of(context.state, deliveries.of_event(context.state, event_id), MANY),
    )


def _story(context: Context, events: list[Event]) -> Table:
    rows = tuple(event_row(context.state, event) for event in events)
    return Table("story", "What happened", EVENT_COLUMNS, rows, len(rows), "Nothing yet.")


def _intent_of(shape: JsonObject) -> str | None:
    if shape.get("object") == "payment_intent":
        return str(shape["id"])
    found = shape.get("payment_intent")
    return found if isinstance(found, str) else None


def _family(context: Context, intent_id: str) -> dict[str, str]:
    """Everything that hangs on a payment intent, with its kind."""
    state = context.state
    session = state.session_of(intent_id)
    family = {session.id: "checkout.session"} if session is not None else {}
    family[intent_id] = "payment_intent"
    family |= {charge.id: "charge" for charge in state.charges if charge.payment_intent == intent_id}
    family |= {refund.id: "refund" for refund in state.refunds if refund.payment_intent == intent_id}
    family |= {dispute.id: "dispute" for dispute in state.disputes if dispute.payment_intent == intent_id}
    return family


def _actions(context: Context, object_id: str, intent_id: str | None) -> tuple[Action, ...]:
    session = context.state.sessions.get(object_id)
    found: list[Action] = []
    intent = context.state.intents.get(intent_id or "")
    if intent is not None and object_id in (intent.id, session.id if session else ""):
        found += _of_intent(context, intent)
    if session is not None and session.status == "open":
        found.append(Action("expire", "Let it expire"))
    return tuple(found)


def _of_intent(context: Context, intent: PaymentIntent) -> list[Action]:
    if intent.status == "requires_action":
        return [Action("pass", "Authenticate the holder"), Action("reject", "Fail authentication")]
    if intent.status == "processing":
        return [Action("settle", "Let the bank pay"), Action("fail", "Let the bank refuse")]
    charge = context.state.charges.get(intent.latest_charge or "")
    if intent.status != "succeeded" or charge is None:
        return []
    actions: list[Action] = []
    if charge.refundable_minor:
        left = amount_text(charge.refundable_minor, charge.currency)
        actions.append(Action("refund", "Refund", amount=left))
    if not charge.disputed:
        actions.append(Action("dispute", "Open a dispute"))
    return actions


def _amount(shape: JsonObject) -> str | None:
    amount = shape.get("amount_total", shape.get("amount"))
    currency = shape.get("currency")
    return amount_text(amount, currency) if isinstance(amount, int) and isinstance(currency, str) else None


def _span(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    parts = ((days, "d"), (hours, "h"), (rest // 60, "min"), (rest % 60, "s"))
    return " ".join(f"{value} {unit}" for value, unit in parts if value)
