"""What every outbox must do for a relay: the obligations of `payments_core.ports.publishing.Outbox`, one test each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from datetime import timedelta

from payments_core.errors import StoreUnavailable
from payments_core.ports import OutboxRow, Store
from payments_core.ports.publishing import Outbox, OwedRow
from payments_core.testing.contracts.examples import MOMENT, outgoing
from payments_core.testing.contracts.worlds import World, scenario

_LONG_AGO = timedelta(days=36_500)


class OutboxWorld(World):
    """One empty database, stores that write to its outbox, and relays that take from it. Made anew for every test."""

    def __init__(self) -> None:
        super().__init__("async")

    @abstractmethod
    def make_store(self, *, owes_broker: bool) -> Store:
        """A store over this world's data."""

    @abstractmethod
    def make_outbox(self) -> Outbox:
        """An outbox over this world's data, as another relay's process would make it."""

    @abstractmethod
    def make_unreachable(self) -> Outbox | None:
        """An outbox whose database cannot be used, or None where there is no such thing."""

    async def open(self) -> Outbox:
        """An outbox that is closed at the end of the scenario."""
        return self.keep(self.make_outbox())

    async def write(self, *rows: OutboxRow, owes_broker: bool = True) -> Store:
        """Commit rows, in this order; the store that did."""
        store = self.keep(self.make_store(owes_broker=owes_broker))
        await store.prepare()
        async with store.transaction() as tx:
            await tx.enqueue(rows)
        return store


class OutboxContract:
    """Give it a fixture `world` that returns an OutboxWorld over an empty database."""

    @scenario
    async def test_a_batch_has_what_is_owed_as_it_was_written(self, world: OutboxWorld) -> None:
        """Every field, the rows of a key in the order of their commits."""
        written = [outgoing(f"e{number}", key=f"k{number % 3}", payload=f'{{"n": {number}}}') for number in range(9)]
        for row in written:
            await world.write(row)
        async with (await world.open()).batch(100) as batch:
            assert sorted(row.event_id for row in batch.rows) == [f"e{number}" for number in range(9)]
            for key in ("k0", "k1", "k2"):
                assert ids(batch.rows, key) == [row.event_id for row in written if row.key == key]
            first = next(row for row in batch.rows if row.event_id == "e0")
        assert (first.type, first.payload, first.occurred_at) == ("payment.successful", '{"n": 0}', MOMENT)
        assert first.traceparent == "00-trace-span-01"

    @scenario
    async def test_what_is_marked_published_is_owed_no_more(self, world: OutboxWorld) -> None:
        """And is no backlog; the rest still is."""
        store = await world.write(*(outgoing(f"e{number}", key="k1") for number in range(4)))
        outbox = await world.open()
        async with outbox.batch(100) as batch:
            await batch.settle(published=[row.row_id for row in batch.rows if row.event_id != "e3"], parked={})
        assert (await store.health()).outbox_backlog == 1
        assert await taken(outbox) == ["e3"]

    @scenario
    async def test_what_is_not_marked_is_owed_as_before(self, world: OutboxWorld) -> None:
        """However the batch ends."""
        await world.write(outgoing("e1"), outgoing("e2"))
        outbox = await world.open()
        with suppress(Interrupted):
            async with outbox.batch(100):
                raise Interrupted
        async with outbox.batch(100):
            pass
        assert await taken(outbox) == ["e1", "e2"]
        assert await taken(await world.open()) == ["e1", "e2"]

    @scenario
    async def test_a_limit_cuts_no_hole_into_a_key(self, world: OutboxWorld) -> None:
        """What is left out is the end of a key's rows, and comes in the next batch."""
        await world.write(*(outgoing(f"e{number}", key="k") for number in range(7)))
        outbox = await world.open()
        parts: list[list[str]] = []
        for _ in range(4):
            async with outbox.batch(3) as batch:
                parts.append([row.event_id for row in batch.rows])
                await batch.settle(published=[row.row_id for row in batch.rows], parked={})
        assert all(len(part) <= 3 for part in parts)
        while len(found := [one for part in parts for one in part]) < 7:
            async with outbox.batch(3) as batch:
                parts.append([row.event_id for row in batch.rows])
                await batch.settle(published=[row.row_id for row in batch.rows], parked={})
        assert found == [f"e{number}" for number in range(7)]

    @scenario
    async def test_a_key_can_be_left_out(self, world: OutboxWorld) -> None:
        """With all of its rows, however many stand before those of others; it is owed as before."""
        rows = [outgoing(f"e{number}", key=f"k{number % 20}") for number in range(60)]
        await world.write(*rows)
        outbox = await world.open()
        without = [f"k{number}" for number in range(18)]
        async with outbox.batch(10, without=without) as batch:
            found = {row.key for row in batch.rows}
            assert found
            assert found <= {"k18", "k19"}
        every = [f"k{number}" for number in range(20)]
        async with outbox.batch(100, without=every) as batch:
            assert not batch.rows
        assert len(await drained(outbox)) == len(rows)

    @scenario
    async def test_relays_share_the_work(self, world: OutboxWorld) -> None:
        """No key is in two open batches, and what one gives back the other finds."""
        await world.write(*(outgoing(f"e{number}", key=f"k{number % 20}") for number in range(200)))
        relays = [await world.open() for _ in range(3)]
        async with AsyncExitStack() as stack:
            batches = [await stack.enter_async_context(relay.batch(40)) for relay in relays]
            keys = [{row.key for row in batch.rows} for batch in batches]
            assert keys[0]
            every: set[str] = set()
            every.update(*keys)
            assert len(every) == sum(map(len, keys))
        left = await drained(relays[1])
        assert sorted(left) == sorted(f"e{number}" for number in range(200))

    @scenario
    async def test_a_parked_row_keeps_back_its_own_key_alone(self, world: OutboxWorld) -> None:
        """With its reason and the number of those behind it, for whoever looks."""
        await world.write(*(outgoing(f"e{number}", key=f"k{number % 2}") for number in range(6)))
        outbox = await world.open()
        async with outbox.batch(100) as batch:
            refused = next(row for row in batch.rows if row.event_id == "e2")
            await batch.settle(published=[], parked={refused.row_id: "it is too large"})
        # What stands before it in its key goes, what stands behind it waits.
        assert sorted(await drained(outbox)) == ["e0", "e1", "e3", "e5"]
        await world.write(outgoing("e7", key="k1"), outgoing("e8", key="k0"))
        assert await drained(outbox) == ["e7"]
        [parked] = await outbox.parked(after=0, limit=10)
        assert (parked.event_id, parked.key, parked.reason) == ("e2", "k0", "it is too large")
        assert (parked.type, parked.payment_id, parked.blocks) == ("payment.successful", "p1", 2)

    @scenario
    async def test_released_rows_are_tried_again_in_order(self, world: OutboxWorld) -> None:
        """By their events' ids or all of them; what is not parked is left alone."""
        await world.write(*(outgoing(f"e{number}", key=f"k{number % 3}") for number in range(6)))
        outbox = await world.open()
        async with outbox.batch(100) as batch:
            first = {row.row_id: "no" for row in batch.rows if row.event_id in ("e0", "e1", "e2")}
            await batch.settle(published=[], parked=first)
        assert await drained(outbox) == []
        page = await outbox.parked(after=0, limit=2)
        rest = await outbox.parked(after=page[-1].row_id, limit=2)
        assert [row.event_id for row in (*page, *rest)] == ["e0", "e1", "e2"]
        assert await outbox.release(["e1", "e4", "unknown"]) == 1
        assert await drained(outbox) == ["e1", "e4"]
        assert await outbox.release(None) == 2
        assert sorted(await drained(outbox)) == ["e0", "e2", "e3", "e5"]
        assert await outbox.release(None) == 0
        assert not await outbox.parked(after=0, limit=10)

    @scenario
    async def test_what_was_written_without_a_broker_is_sent_on_purpose_only(self, world: OutboxWorld) -> None:
        """And then it is owed like all else."""
        store = await world.write(outgoing("e1"), owes_broker=False)
        outbox = await world.open()
        assert await drained(outbox) == []
        assert await outbox.owe_unsent(MOMENT + _LONG_AGO) == 0
        assert await outbox.owe_unsent(MOMENT - _LONG_AGO) == 1
        assert (await store.health()).outbox_backlog == 1
        assert await drained(outbox) == ["e1"]
        assert await outbox.owe_unsent(MOMENT - _LONG_AGO) == 0

    @scenario
    async def test_a_database_that_is_down_is_told(self, world: OutboxWorld) -> None:
        """StoreUnavailable, which a relay outlives."""
        outbox = world.make_unreachable()
        if outbox is None:
            return
        told = False
        try:
            async with world.keep(outbox).batch(10):
                pass
        except StoreUnavailable:
            told = True
        assert told


class Interrupted(Exception):
    """Ends a batch before it is settled."""


def ids(rows: Sequence[OwedRow], key: str) -> list[str]:
    """The events of a key, in the order of the batch."""
    return [row.event_id for row in rows if row.key == key]


async def taken(outbox: Outbox) -> list[str]:
    """What a batch holds; it is left owed."""
    async with outbox.batch(1000) as batch:
        return [row.event_id for row in batch.rows]


async def drained(outbox: Outbox) -> list[str]:
    """Everything that can be taken, marked published."""
    found: list[str] = []
    while True:
        async with outbox.batch(1000) as batch:
            if not batch.rows:
                return found
            found += [row.event_id for row in batch.rows]
            await batch.settle(published=[row.row_id for row in batch.rows], parked={})
