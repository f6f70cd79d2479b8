"""The in-memory store as a reconciliation sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime

from attrs import frozen

from payments_core.adapters.memory.data import Data, InboxEvent, RefKey
from payments_core.domain.payment import Payment
from payments_core.domain.refs import Ref
from payments_core.ports import InboxEntry, Known, Selection


@frozen
class MemorySweeps:
    """`payments_core.ports.Sweeps` over `Data`; `opened` gives it, guarded."""

    opened: Callable[[], AbstractContextManager[Data]]

    async def swept_until(self, name: str) -> datetime | None:
        """See Sweeps."""
        with self.opened() as data:
            return data.sweeps.get(name)

    async def advance(self, name: str, until: datetime) -> None:
        """See Sweeps."""
        with self.opened() as data:
            data.sweeps[name] = max(until, data.sweeps.get(name, until))

    async def held(self, event_ids: Sequence[str], *, account: str | None) -> frozenset[str]:
        """See Sweeps."""
        keys = {(one, mode) for one in (None, account) for mode in (None, False, True)}
        with self.opened() as data:
            return frozenset(one for one in event_ids if any((*key, one) in data.seqs for key in keys))

    async def known(self, ids: Sequence[str], refs: Sequence[Ref], *, account: str | None, livemode: bool) -> Known:
        """See Sweeps."""
        with self.opened() as data:
            owners = {ref: data.refs.get(RefKey(account, livemode, ref)) for ref in refs}
            return Known(
                {one: data.payments[one] for one in ids if one in data.payments},
                {ref: data.payments[owner] for ref, owner in owners.items() if owner is not None},
            )

    async def waiting(self, *, after: int, limit: int) -> Sequence[InboxEntry]:
        """See Sweeps."""
        with self.opened() as data:
            return [_entry(event) for event in data.inbox.values() if event.is_open and event.seq > after][:limit]

    async def told(self, types: Sequence[str], *, since: datetime, after: int, limit: int) -> Sequence[InboxEntry]:
        """See Sweeps."""
        with self.opened() as data:
            fitting = (
                event
                for event in data.inbox.values()
                if event.received.type in types and event.received_at >= since and event.seq > after
            )
            return [_entry(event) for event in fitting][:limit]

    async def payments(self, wanted: Selection, *, after: str, limit: int) -> Sequence[Payment]:
        """See Sweeps."""
        with self.opened() as data:
            fitting = (one for one in data.payments.values() if _fits(one, wanted) and one.payment_id > after)
            return sorted(fitting, key=lambda one: one.payment_id)[:limit]


def _fits(payment: Payment, wanted: Selection) -> bool:
    return (
        payment.state in wanted.states
        and wanted.since <= payment.created_at < wanted.until
        and payment.account == wanted.account
        and payment.livemode is wanted.livemode
    )


def _entry(event: InboxEvent) -> InboxEntry:
    received = event.received
    return InboxEntry(
        event.seq,
        received.event_id,
        received.type,
        event.received_at,
        received.body,
        received.account,
        received.livemode,
        event.last_error,
    )
