"""Putting a whole claim into its lanes at once: one look at the payments and one commit, instead of two for each event.

Only for events that bear our own mark, and only as far as it goes smoothly: whatever is left over is routed and put
into its lane one by one, when it is handled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from ..domain.delivery import ClaimedEvent
from ..domain.mark import peek_mark
from ..domain.payment import Payment
from ..errors import StoreUnavailable
from ..ports import Store


@frozen
class Lanes:
    """Assigns lanes to claimed events."""

    store: Store

    async def assign(self, claims: Sequence[ClaimedEvent]) -> Mapping[int, Payment]:
        """By `seq`, the payment of each event that is in its payment's lane now."""
        marks = {claimed.seq: mark for claimed in claims if (mark := peek_mark(claimed.body)) is not None}
        if len(marks) < 2:
            return {}
        try:
            known = await self.store.payments(sorted(set(marks.values())))
            marked = [(claimed, known[marks[claimed.seq]]) for claimed in claims if marks.get(claimed.seq) in known]
            return await self._assigned(marked)
        except StoreUnavailable:
            # Each event will meet the same outage, and be given back with its reason.
            return {}

    async def _assigned(self, pairs: Sequence[tuple[ClaimedEvent, Payment]]) -> Mapping[int, Payment]:
        """Of two events of one payment the older gets the lane."""
        there = {claimed.seq: payment for claimed, payment in pairs if claimed.lane == payment.payment_id}
        taken = {payment.payment_id for payment in there.values()}
        first: dict[str, tuple[ClaimedEvent, Payment]] = {}
        for claimed, payment in pairs:
            if claimed.lane is None and payment.payment_id not in taken:
                first.setdefault(payment.payment_id, (claimed, payment))
        wanted = [(claimed, payment.payment_id) for claimed, payment in first.values()]
        if wanted and await self.store.assign_lanes(wanted):
            there |= {claimed.seq: payment for claimed, payment in first.values()}
        return there
