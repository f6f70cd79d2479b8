"""The states of inbox and payments, and modes, as statements say them: literally, in the words of the partial indexes.

A planner that sees a parameter instead of the number cannot use the index.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, literal_column
from sqlalchemy.sql.selectable import NamedFromClause

from payments_core.adapters.sql.tables import NO_LIVEMODE, inbox, payment
from payments_core.domain.delivery import InboxState
from payments_core.domain.payment import PaymentState


def literal(state: InboxState) -> ColumnElement[int]:
    """The state's number."""
    return literal_column(str(state.value))


READY: Final = literal(InboxState.READY)
LEASED: Final = literal(InboxState.LEASED)
DONE: Final = literal(InboxState.DONE)
DEAD: Final = literal(InboxState.DEAD)
PARKED: Final = literal(InboxState.PARKED)

#: Every value of `livemode`: with all of them stated, the unique key serves a search by account and event id.
MODES: Final = (NO_LIVEMODE, 0, 1)
_OPEN: Final = (InboxState.READY, InboxState.LEASED, InboxState.PARKED)


def is_quarantined() -> ColumnElement[bool]:
    """Whether a payment is quarantined."""
    return payment.c.state == literal_column(f"'{PaymentState.QUARANTINED.value}'")


def is_open(table: NamedFromClause = inbox) -> ColumnElement[bool]:
    """Whether an event is still to be handled."""
    return table.c.state.in_([literal(state) for state in _OPEN])


def is_in(state: InboxState, table: NamedFromClause = inbox) -> ColumnElement[bool]:
    """Whether an event is in a state."""
    exactly = table.c.state == literal(state)
    return is_open(table) & exactly if state in _OPEN else exactly
