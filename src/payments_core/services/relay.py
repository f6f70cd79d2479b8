"""The relay: takes what is owed from the outbox, publishes it, marks it. Nothing is marked that was not acknowledged.

Several hands work at once, each with a publisher of its own: while one waits for the broker another reads or marks. The
outbox gives each of them other partitions, as it does with several relays.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence

from attrs import define, field, frozen

from ..errors import PaymentsError, frames_of
from ..ports import Meter, Unmetered
from ..ports.publishing import Batch, BrokerUnavailable, Errands, Outbox, OwedRow, Publisher, Refusal

_log = logging.getLogger("payments_core.relay")

#: What is owed without anybody's nudge is found at the latest after this.
IDLE_S = 0.5
#: Rows of one batch: enough to fill the broker's pipeline, few enough to be sent again after a crash.
BATCH_ROWS = 2000
#: A key whose row was not answered for is tried again after this.
ASIDE_S = 30.0
#: More keys than this are not remembered: they are tried, and waited for, with the others.
_MOST_ASIDE = 20_000
_LONGEST_WAIT_S = 30.0
_SHORTEST_WAIT_S = 0.1
_FIRST_WAIT_S = 0.5


@define
class Tally:
    """What was done so far: rows published, and rows parked."""

    published: int = 0
    parked: int = 0


@define
class _Trouble:
    """An outage, as long as it lasts: how often it was met in a row."""

    failures: int = 0
    #: Keys that a part of the broker took nothing of, and until when they are left out (monotonic, in seconds).
    aside: dict[str, float] = field(factory=dict[str, float])


@frozen
class Relay:
    """Publishes what is owed. `random` gives a number in [0, 1) for the jitter of what is tried again."""

    outbox: Outbox
    publishers: Sequence[Publisher]
    errands: Errands
    random: Callable[[], float]
    batch_rows: int = BATCH_ROWS
    meter: Meter = field(factory=Unmetered)
    tally: Tally = field(factory=Tally)
    aside_s: float = ASIDE_S
    _trouble: _Trouble = field(factory=_Trouble)

    async def run(self) -> None:
        """Publish until the process is to stop. An outage ends nothing: what is owed stays owed."""
        while not self.errands.is_leaving:
            try:
                await self.drain()
            except Exception as trouble:  # noqa: BLE001 - the relay outlives whatever happens to one round
                await self.errands.rest(self._wait_s(trouble), early=False)
            else:
                await self.errands.rest(IDLE_S, early=True)

    async def drain(self) -> None:
        """Publish until nothing is owed that this relay can get hold of.

        Raises BrokerUnavailable or StoreUnavailable when it cannot go on.
        """
        if self._trouble.failures:
            # One hand looks whether the outage is over, with little of everything, and more each time in vain: what
            # stands first may be just what a part of the broker does not take.
            each = min(self.batch_rows, 4 ** min(self._trouble.failures - 1, 10))
            if not await self._batch(self.publishers[0], each) and self._trouble.aside:
                return
            self._over()
        await self.errands.each(self.publishers, self._work, hands=len(self.publishers))

    async def close(self) -> None:
        """Give back every connection."""
        for publisher in self.publishers:
            await publisher.close()
        await self.outbox.close()

    async def _work(self, publisher: Publisher) -> None:
        while not self.errands.is_leaving and await self._batch(publisher):
            pass

    async def _batch(self, publisher: Publisher, each: int | None = None) -> bool:
        """Take a batch, or of every type so many rows of it, and settle it; whether there was one.

        Raises BrokerUnavailable when nothing of it was settled.
        """
        async with self.outbox.batch(self.batch_rows, without=self._left_out()) as batch:
            rows = batch.rows if each is None else _samples(batch.rows, each)
            if not rows:
                return False
            try:
                acknowledged, refused = await publisher.publish(rows)
            except BrokerUnavailable as trouble:
                await self._settle(batch, trouble.acknowledged, trouble.refused)
                self._step_back(rows, trouble)
                if not trouble.is_partial:
                    raise
            else:
                await self._settle(batch, acknowledged, refused)
        return True

    def _left_out(self) -> Collection[str]:
        now_s, aside = self.errands.monotonic_s(), self._trouble.aside
        for key in [key for key, until_s in aside.items() if until_s <= now_s]:
            del aside[key]
        return tuple(aside)

    def _step_back(self, rows: Sequence[OwedRow], trouble: BrokerUnavailable) -> None:
        """Leave the keys of what was not answered for out of the next batches: all rows of them, so order holds."""
        unanswered, aside = set(trouble.unanswered), self._trouble.aside
        keys = {row.key for row in rows if row.row_id in unanswered}
        if keys and trouble.is_partial and not aside:
            _log.warning("Outgoing events of %d payments wait, the others go on: %s", len(keys), trouble)
        # All of them anew: the next batch may be given up as late as the first ones would come back, and be theirs.
        until_s = self.errands.monotonic_s() + self.aside_s
        aside.update(dict.fromkeys([*aside, *sorted(keys - aside.keys())][:_MOST_ASIDE], until_s))

    async def _settle(self, batch: Batch, acknowledged: Sequence[int], refused: Mapping[int, Refusal]) -> None:
        if not acknowledged and not refused:
            return
        await batch.settle(published=acknowledged, parked={row_id: one.reason for row_id, one in refused.items()})
        self.tally.published += len(acknowledged)
        self.tally.parked += len(refused)
        self.meter.relayed(published=len(acknowledged), parked=len(refused))
        events = {row.row_id: row.event_id for row in batch.rows if row.row_id in refused}
        for row_id, refusal in refused.items():
            facts = {"eventId": events[row_id], "outboxId": row_id}
            _log.error("Outgoing event is parked, and what follows of its key waits: %s", refusal.reason, extra=facts)

    def _wait_s(self, trouble: Exception) -> float:
        """Say once that it does not go on; how long to wait before the next try: exponential, with full jitter."""
        if not self._trouble.failures:
            _log.warning("Outgoing events wait: %s", _words(trouble))
        ceiling_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(self._trouble.failures, 10))
        self._trouble.failures += 1
        return max(_SHORTEST_WAIT_S, ceiling_s * self.random())

    def _over(self) -> None:
        """Say once that it goes on again."""
        self._trouble.failures = 0
        _log.info("Outgoing events are published again")


def _samples(rows: Sequence[OwedRow], each: int) -> Sequence[OwedRow]:
    """Of every type so many rows at most, each the first of its key."""
    first: dict[str, OwedRow] = {}
    for row in rows:
        first.setdefault(row.key, row)
    found: dict[str, list[OwedRow]] = {}
    for row in first.values():
        found.setdefault(row.type, []).append(row)
    return [row for of_type in found.values() for row in of_type[:each]]


def _words(trouble: Exception) -> str:
    """Our own words in full; of anybody else's error its type and place, not what it says."""
    if isinstance(trouble, BrokerUnavailable | PaymentsError):
        return str(trouble)
    return f"{type(trouble).__name__}\n{frames_of(trouble)}"
