"""What every publisher must do: the obligations of `payments_core.ports.publishing.Publisher`, one test each."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import suppress

from payments_core.ports.publishing import BrokerUnavailable, OwedRow, Publisher
from payments_core.testing.contracts.examples import MOMENT
from payments_core.testing.contracts.worlds import World, scenario

KIND = "payment.successful"
OTHER = "payment.failed"


class PublisherWorld(World):
    """A broker with topics for KIND and OTHER and no others. Made anew for every test."""

    #: A payload of so many characters is refused for KIND, one of a tenth of it is taken.
    too_large_chars: int

    def __init__(self) -> None:
        super().__init__("async")

    @abstractmethod
    def make_publisher(self) -> Publisher:
        """A publisher to the broker."""

    @abstractmethod
    def make_unreachable(self) -> Publisher:
        """A publisher to a broker that is not there."""

    @abstractmethod
    async def arrived(self) -> Sequence[tuple[str, str]]:
        """Key and event id of every message so far, those of one type and key in their order."""

    def open(self) -> Publisher:
        """A publisher that is closed at the end of the scenario."""
        return self.keep(self.make_publisher())


class PublisherContract:
    """Give it a fixture `world` that returns a PublisherWorld."""

    @scenario
    async def test_what_is_acknowledged_has_arrived_in_order(self, world: PublisherWorld) -> None:
        """Every row, once, and those of a key as they were given."""
        rows = [_row(number, key=f"k{number % 7}") for number in range(100)]
        acknowledged, refused = await world.open().publish(rows)
        assert sorted(acknowledged) == list(range(100))
        assert not refused
        arrived = await world.arrived()
        assert len(arrived) == 100
        for key in {row.key for row in rows}:
            assert [event for at, event in arrived if at == key] == [row.event_id for row in rows if row.key == key]

    @scenario
    async def test_nothing_is_no_work(self, world: PublisherWorld) -> None:
        """No rows, no answer."""
        acknowledged, refused = await world.open().publish([])
        assert not acknowledged
        assert not refused

    @scenario
    async def test_a_refused_row_stops_its_key_alone(self, world: PublisherWorld) -> None:
        """What stands before it is sent, what stands behind it is not, and is in neither answer."""
        large = "x" * world.too_large_chars
        rows = [_row(1), _row(2, payload=large), _row(3), *(_row(n, key=f"k{n}") for n in range(4, 40))]
        publisher = world.open()
        acknowledged, refused = await publisher.publish(rows)
        assert sorted(acknowledged) == [1, *range(4, 40)]
        assert list(refused) == [2]
        assert refused[2].reason
        assert large not in refused[2].reason
        assert len(await world.arrived()) == 37
        # The publisher is none the worse for it.
        again, refused = await publisher.publish([_row(3)])
        assert (list(again), dict(refused)) == ([3], {})

    @scenario
    async def test_several_culprits_are_found_among_many(self, world: PublisherWorld) -> None:
        """However they lie in what is sent together."""
        bad = {3, 4, 17, 59}
        large = "x" * world.too_large_chars
        rows = [_row(n, key=f"k{n}", payload=large if n in bad else "{}") for n in range(60)]
        acknowledged, refused = await world.open().publish(rows)
        assert set(refused) == bad
        assert sorted(acknowledged) == [n for n in range(60) if n not in bad]
        assert len(await world.arrived()) == len(rows) - len(bad)

    @scenario
    async def test_a_type_that_the_broker_has_no_place_for_is_refused(self, world: PublisherWorld) -> None:
        """The others go on."""
        rows = [_row(1, kind="no.such"), _row(2, key="other"), _row(3, key="other", kind=OTHER)]
        acknowledged, refused = await world.open().publish(rows)
        assert sorted(acknowledged) == [2, 3]
        assert list(refused) == [1]
        assert "no.such" in refused[1].reason

    @scenario
    async def test_a_broker_that_is_not_there_is_told(self, world: PublisherWorld) -> None:
        """BrokerUnavailable, as often as one asks."""
        publisher = world.keep(world.make_unreachable())
        for _ in range(2):
            told = ""
            try:
                await publisher.publish([_row(1)])
            except BrokerUnavailable as trouble:
                told = str(trouble)
            assert told

    @scenario
    async def test_one_that_is_cancelled_leaves_nothing_behind(self, world: PublisherWorld) -> None:
        """No task of its goes on, and it can be used again."""
        publisher = world.open()
        await publisher.publish([_row(0)])
        before = asyncio.all_tasks()
        for delay_s in (0, 0.001, 0.003):
            sending = asyncio.ensure_future(publisher.publish([_row(n, key=f"k{n}") for n in range(500)]))
            await asyncio.sleep(delay_s)
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending
        assert len([task for task in asyncio.all_tasks() - before if not task.done()]) == 0
        acknowledged, _ = await publisher.publish([_row(1)])
        assert list(acknowledged) == [1]


def _row(row_id: int, *, key: str = "k", kind: str = KIND, payload: str = "{}") -> OwedRow:
    return OwedRow(row_id, f"fact-{row_id}", kind, key, payload, MOMENT)
