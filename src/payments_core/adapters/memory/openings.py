"""The names of the in-memory store under which checkouts are opened once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

import attrs
from attrs import frozen

from payments_core.adapters.memory.data import Data
from payments_core.domain.opening import Ask, Claim, Opening, claimed
from payments_core.domain.payment import Payment
from payments_core.domain.stripe_objects import Session
from payments_core.ports import Clock


@frozen
class MemoryOpenings:
    """`payments_core.ports.Openings` over `Data`; `opened` gives it, guarded, `save` is the store's own `opened`."""

    opened: Callable[[], AbstractContextManager[Data]]
    save: Callable[[str, Session], Awaitable[None]]
    clock: Clock

    async def claim(self, ask: Ask, *, holder: str, lease_s: float, stale: str | None = None) -> Claim:
        """See Openings."""
        with self.opened() as data:
            now = self.clock()
            found = data.openings.get(ask.name)
            claim = claimed(found, ask, holder=holder, now=now, lease_s=lease_s, stale=stale)
            if found is None:
                for name in [one.name for one in data.openings.values() if one.kept_until < now]:
                    del data.openings[name]
            if claim.is_mine:
                data.openings[ask.name] = claim.opening
            return claim

    async def begin(self, opening: Opening, payment: Payment, params: str) -> bool:
        """See Openings."""
        with self.opened() as data:
            mine = self._held(data, opening)
            if mine is None or mine.payment_id is not None:
                return False
            data.payments[payment.payment_id] = payment
            data.openings[opening.name] = attrs.evolve(
                mine, payment_id=payment.payment_id, params=params, keyed_at=self.clock()
            )
            return True

    async def rekey(self, opening: Opening, idempotency_key: str) -> bool:
        """See Openings."""
        with self.opened() as data:
            mine = self._held(data, opening)
            if mine is None or mine.payment_id is None or mine.payment_id not in data.payments:
                return False
            payment = data.payments[mine.payment_id]
            data.payments[mine.payment_id] = attrs.evolve(payment, idempotency_key=idempotency_key)
            data.openings[opening.name] = attrs.evolve(mine, keyed_at=self.clock())
            return True

    async def finish(self, opening: Opening, session: Session, *, kept_s: int) -> Opening | None:
        """See Openings."""
        await self.save(str(opening.payment_id), session)
        with self.opened() as data:
            current = data.openings.get(opening.name)
            if current is None or current.payment_id != opening.payment_id:
                return None
            if current.session_id is None:
                now = self.clock()
                current = data.openings[opening.name] = attrs.evolve(
                    current,
                    params=None,
                    leased_until=now,
                    kept_until=now + timedelta(seconds=kept_s),
                    session_id=session.id,
                    url=session.url,
                    client_secret=session.client_secret,
                    expires_at=None if session.expires_s is None else datetime.fromtimestamp(session.expires_s, UTC),
                )
            return current

    async def release(self, opening: Opening) -> None:
        """See Openings."""
        with self.opened() as data:
            mine = self._held(data, opening)
            if mine is not None:
                data.openings[opening.name] = attrs.evolve(mine, leased_until=self.clock())

    async def free(self, opening: Opening) -> None:
        """See Openings."""
        with self.opened() as data:
            if self._held(data, opening) is not None:
                del data.openings[opening.name]

    def _held(self, data: Data, opening: Opening) -> Opening | None:
        current = data.openings.get(opening.name)
        held = current is not None and current.holder == opening.holder and current.session_id is None
        return current if held else None
