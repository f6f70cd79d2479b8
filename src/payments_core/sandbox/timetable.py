"""What happens by itself as time passes, and when the next of it does: sessions run out, delayed payments settle."""

from __future__ import annotations

from . import intents, listeners, payments
from .state import Context, State


def catch_up(context: Context) -> None:
    """Let everything happen whose time has come."""
    payments.expire_overdue(context)
    intents.settle_overdue(context)
    listeners.forget_gone(context)


def next_at(state: State) -> int | None:
    """When the next of it happens (epoch seconds), or None where nothing will."""
    times = [session.expires_at for session in state.sessions if session.status == "open"]
    times += [intent.settles_at for intent in state.intents if intent.settles_at is not None]
    return min(times, default=None)
