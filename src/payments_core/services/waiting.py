"""Which payments' news is in the inbox already, and waits to be handled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from attrs import define, field

from ..domain.news import Claim, Decision, Subject, read_news
from ..domain.notices import document_of
from ..domain.observations import is_paid, names_of
from ..domain.refs import Ref
from ..domain.stripe_objects import child
from ..ports import InboxEntry, Sweeps

_PAGE: Final = 200
#: Beyond this the rest is not remembered: what is then told a second time changes nothing.
_MOST: Final = 200_000
_PAID_CLAIMS: Final = (Claim.SESSION_DONE, Claim.INTENT_SUCCEEDED, Claim.INVOICE_PAID)


@define
class Waiting:
    """Stripe's names for the payments of which news waits, with when the latest of it was received."""

    #: By news that money came.
    paid: dict[Ref, datetime] = field(factory=dict[Ref, datetime])
    #: By any other news.
    other: dict[Ref, datetime] = field(factory=dict[Ref, datetime])

    def add(self, subject: Subject, received_at: datetime, *, tells_paid: bool) -> None:
        """Note that news of an object waits."""
        names = self.paid if tells_paid else self.other
        if len(names) < _MOST:
            for ref in names_of(subject):
                names[ref] = max(received_at, names.get(ref, received_at))

    def since(self, subject: Subject) -> datetime | None:
        """When the latest news that tells as much as the object does was received, or None where none waits."""
        sources = (self.paid,) if is_paid(subject) else (self.paid, self.other)
        found = [names[ref] for names in sources for ref in names_of(subject) if ref in names]
        return max(found, default=None)


async def all_waiting(sweeps: Sweeps, each: Callable[[InboxEntry], None]) -> Waiting:
    """Read every event that waits, in pages; `each` sees them all."""
    waiting = Waiting()
    entries = await sweeps.waiting(after=0, limit=_PAGE)
    while entries:
        for entry in entries:
            each(entry)
            _note(entry, waiting)
        entries = await sweeps.waiting(after=entries[-1].seq, limit=_PAGE)
    return waiting


def _note(entry: InboxEntry, waiting: Waiting) -> None:
    try:
        news = read_news(entry.type, child(child(document_of(entry.body), "data"), "object"))
    except KeyError:
        return
    if news is not None and not isinstance(news.subject, Decision):
        waiting.add(news.subject, entry.received_at, tells_paid=news.claim in _PAID_CLAIMS)
