"""What a checkout that is opened once asks of the store."""

from __future__ import annotations

from typing import Protocol

from ..domain.opening import Ask, Claim, Opening
from ..domain.payment import Payment
from ..domain.stripe_objects import Session


class Openings(Protocol):
    """The names under which checkouts are opened once.

    - `claim` does what `domain.opening.claimed` decides. Of claims that come at the same time exactly one gets the
      name; the others find it running. Leases and ages are on the database's time.
    - `begin`, `rekey`, `release` and `free` change nothing, and the first two return False, for whoever does not hold
      the name any more. `begin` works once for a holder, and writes name and payment in one transaction.
    - `finish` is not bound to the holder: who was taken over sent the same request, and has the same session. The first
      one's answer stays, and every later call gets it. It writes name, payment and references in one transaction.
    - Everything is durable on return. Names whose time is over go, a few with every name that is new.
    - No name, digest or key that is stored tells who asked or for what.
    """

    async def claim(self, ask: Ask, *, holder: str, lease_s: float, stale: str | None = None) -> Claim:
        """Claim a name. `stale` is a session under it that is of no use any more: then the name begins anew."""
        ...

    async def begin(self, opening: Opening, payment: Payment, params: str) -> bool:
        """Write down the new payment, its idempotency key and what will be sent to Stripe (JSON)."""
        ...

    async def rekey(self, opening: Opening, idempotency_key: str) -> bool:
        """Write down another idempotency key for the payment of an opening that has no session."""
        ...

    async def finish(self, opening: Opening, session: Session, *, kept_s: int) -> Opening | None:
        """Save the session that Stripe made, to be given again for `kept_s` seconds; what is given from now on.

        None where the name belongs to another payment by now. Raises LookupError for a payment that was never stored.
        """
        ...

    async def release(self, opening: Opening) -> None:
        """End the lease: the next attempt may go on at once."""
        ...

    async def free(self, opening: Opening) -> None:
        """Forget the name, unless it has a session."""
        ...
