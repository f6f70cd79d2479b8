"""The life of a received event in the inbox, and when it is tried again.

    ready ──claim──> leased ──done-stamp──> done
      ^                │
      │                ├── the lease expires ──> claimed again (the first holder's token no longer fits)
      ├── retry later ─┤
      ├── parked until its cause is here
      └── replay ──── dead <── attempts used up, or nothing can make it readable

`next_at` has one meaning per state: not before (ready), lease expiry (leased), wake-up (parked). An attempt is counted
when the event is claimed, before anything runs, so that an event which kills its worker still runs out of attempts.
"""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import Final

from attrs import field, frozen, validators


class InboxState(IntEnum):
    """Stored as a small integer; the numbers are part of the schema."""

    READY = 0
    LEASED = 1
    DONE = 2
    DEAD = 3
    PARKED = 4


#: Attempts before an event is dead. With the schedule below they spread over about a day.
MAX_ATTEMPTS: Final = 12
BASE_DELAY_S: Final = 2
DELAY_GROWTH: Final = 3
MAX_DELAY_S: Final = 12 * 3600
LEASE_S: Final = 30
#: Leases that an event is given whose lease ran out: more than the longest wait for Stripe (93 s). Its worker may be
#: alive and waiting: taken over again and again, minutes of a Stripe that hangs would use up a day's attempts.
LATE_LEASES: Final = 4
#: Events leased by one claim, and how many of them are worked at once, as tasks or as threads. The second stays below
#: the store's pool, so that requests find a connection while the runner is busy; more of them would only wait for the
#: interpreter.
CLAIM_LIMIT: Final = 20
HANDS: Final = 4
#: How long an event may wait for its cause (a payment intent for its session) before it acts alone.
PARK_LIMIT_S: Final = 60
PARK_STEP_S: Final = 3


@frozen
class ReceivedEvent:
    """An authenticated body about to be stored. `event_id` is Stripe's, unique per account and mode."""

    event_id: str
    type: str
    body: bytes = field(repr=False)
    account: str | None = None
    livemode: bool | None = None
    traceparent: str | None = None
    #: Set for a body that cannot be read: it is stored dead, with this reason, to be seen and replayed.
    unreadable: str | None = None


@frozen
class ClaimedEvent:
    """An event under lease. `token` is the fencing token: a write that carries an older one is refused.

    `attempt` counts from 1. `lane` is the payment's id once the event has been routed. `received_at` is aware UTC.
    """

    seq: int
    event_id: str
    type: str
    body: bytes = field(repr=False)
    token: int
    attempt: int
    received_at: datetime
    lane: str | None = None
    account: str | None = None
    livemode: bool | None = None
    traceparent: str | None = None


@frozen(kw_only=True)
class DeliveryPolicy:
    """How events are handled. `lease_s`: how long a worker may be silent before its event is taken over.

    One that was taken over is given four times that.

    A lease shorter than what a handler waits for elsewhere makes work be done twice (its effects never: the fencing
    token refuses the slower one). `hands`: how many payments one process works at once, where its store takes more than
    one writer, which SQLite does not. Under Payments each is a thread, and handlers must be fit for that, as views
    under a threaded server are.
    """

    lease_s: int = field(default=LEASE_S, validator=validators.ge(1))
    max_attempts: int = field(default=MAX_ATTEMPTS, validator=validators.ge(1))
    claim_limit: int = field(default=CLAIM_LIMIT, validator=validators.ge(1))
    hands: int = field(default=HANDS, validator=validators.ge(1))


def retry_delay_s(attempt: int, fraction: float) -> float:
    """Seconds until the next attempt after `attempt` (from 1) failed: full jitter over an exponential ceiling.

    `fraction` is a random number in [0, 1). Full jitter (AWS Architecture Blog, "Exponential backoff and jitter")
    spreads a crowd of failures over the whole window instead of moving it as a crowd.
    """
    ceiling_s: int = min(MAX_DELAY_S, BASE_DELAY_S * DELAY_GROWTH**attempt)
    return max(1.0, ceiling_s * fraction)


def is_exhausted(attempt: int, *, max_attempts: int = MAX_ATTEMPTS) -> bool:
    """Whether attempt number `attempt` was the last one."""
    return attempt >= max_attempts
