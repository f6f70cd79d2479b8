"""Two clocks, one of which was asked over a network."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from ..signature import TOLERANCE_S
from .findings import Check, Finding

#: A clock that is synchronised is right to a fraction of a second.
WARN_S: Final = 60
_STRIPE: Final = Check("stripe", "clock")
_DATABASE: Final = Check("database", "clock")
_SET_IT: Final = "Synchronise this machine's clock (NTP, chrony, the host of its container)."


def ahead_s(before: datetime, said: datetime, after: datetime, *, step_s: float = 0) -> float:
    """How far this machine's clock is ahead of the one that said its time, in seconds; less than 0 for behind.

    `before` and `after` are this machine's times around the question, `step_s` the step in which the other one tells
    its time. What may be the way there and back is no difference.
    """
    earliest, latest = before - timedelta(seconds=step_s), after
    if said < earliest:
        return (earliest - said).total_seconds()
    return -(said - latest).total_seconds() if said > latest else 0.0


def examine_stripe_clock(difference_s: float | None) -> Finding:
    """Stripe's clock decides: a signature is refused when it is older, or further ahead, than the tolerance."""
    if difference_s is None:
        return _STRIPE.skipped("The answer did not state Stripe's time.")
    if abs(difference_s) > TOLERANCE_S:
        return _STRIPE.failed(
            f"This machine's clock is {_apart(difference_s)} Stripe's: every webhook's signature is refused, since "
            f"{TOLERANCE_S} s is the most.",
            _SET_IT,
        )
    if abs(difference_s) > WARN_S:
        return _STRIPE.warning(
            f"This machine's clock is {_apart(difference_s)} Stripe's. At {TOLERANCE_S} s the signatures of webhooks "
            "are refused.",
            _SET_IT,
        )
    return _STRIPE.ok(f"This machine's clock and Stripe's are less than {WARN_S} s apart.")


def examine_database_clock(difference_s: float | None) -> Finding:
    """Leases go by the database's clock alone, so that a difference costs clarity and no safety."""
    if difference_s is None:
        return _DATABASE.skipped("An embedded file has no clock of its own.")
    if abs(difference_s) > WARN_S:
        return _DATABASE.warning(
            f"This machine's clock is {_apart(difference_s)} the database server's: what both write down cannot be put "
            "in order.",
            "Synchronise both clocks; Stripe's, below, tells which one is wrong.",
        )
    return _DATABASE.ok(f"This machine's clock and the database server's are less than {WARN_S} s apart.")


def _apart(difference_s: float) -> str:
    return f"{abs(difference_s):,.0f} s {'ahead of' if difference_s > 0 else 'behind'}"
