"""What remembers the messages that a consumer group has handled: obligations of `Consumed`, one test each."""

from __future__ import annotations

from abc import ABC, abstractmethod

import attrs

from payments_core.domain.consumption import Message, MessageState
from payments_core.errors import StoreUnavailable
from payments_core.ports.consuming import Consumed
from payments_core.testing.contracts.worlds import World, scenario

GROUP = "orders"
MESSAGE = Message("payment.successful", 3, 2**40, b"pi_1", b'{"x": "\x00"}', {"ce_id": "m1", "ce_type": "t\x00"})


class ConsumedWorld(World, ABC):
    """One empty database, and what consumers remember in it. Made anew for every test."""

    @abstractmethod
    def make(self) -> Consumed:
        """One over this world's data, as another process would make it; `open` prepares it."""

    @abstractmethod
    def make_unreachable(self) -> Consumed | None:
        """One whose database cannot be used, or None where there is no such thing."""

    async def open(self) -> Consumed:
        """One ready for use, closed at the end of the scenario."""
        consumed = self.keep(self.make())
        await consumed.prepare()
        return consumed


async def take(consumed: Consumed, message_id: str, group: str = GROUP) -> bool:
    """Handle a message without doing anything."""
    async with consumed.transaction() as tx:
        return await tx.take(group, message_id, MESSAGE)


async def retake(consumed: Consumed, message_id: str, group: str = GROUP) -> bool:
    """Handle a message that is due again without doing anything."""
    async with consumed.transaction() as tx:
        return await tx.retake(group, message_id)


class Undone(Exception):
    """A handler failed."""


class ConsumedContract:
    """Give it a fixture `world`, a ConsumedWorld."""

    @scenario
    async def test_a_message_is_taken_once(self, world: ConsumedWorld) -> None:
        """By its group, whichever process asks; another group takes it too."""
        consumed, other = await world.open(), await world.open()
        assert not await consumed.is_known(GROUP, "m1")
        assert await take(consumed, "m1")
        assert not await take(consumed, "m1")
        assert not await take(other, "m1")
        assert await other.is_known(GROUP, "m1")
        assert await take(other, "m1", "mail")
        assert await take(other, "m2")

    @scenario
    async def test_a_transaction_that_raises_takes_nothing(self, world: ConsumedWorld) -> None:
        """The message is there for the next one."""
        consumed = await world.open()
        try:
            async with consumed.transaction() as tx:
                assert await tx.take(GROUP, "m1", MESSAGE)
                raise Undone
        except Undone:
            pass
        assert not await consumed.is_known(GROUP, "m1")
        assert await take(consumed, "m1")

    @scenario
    async def test_of_many_at_once_one_takes_a_message(self, world: ConsumedWorld) -> None:
        """The others wait for it and find it known, or are told to try again and then do."""
        consumed = await world.open()

        async def taking() -> bool:
            while True:
                try:
                    return await take(consumed, "m1")
                except StoreUnavailable:
                    await world.breathe()

        assert sorted(await world.together(*(taking() for _ in range(4)))) == [False, False, False, True]

    @scenario
    async def test_a_dead_message_is_kept_whole(self, world: ConsumedWorld) -> None:
        """Key, body, headers, place and reason; text that a database cannot hold is replaced in headers and reason."""
        consumed = await world.open()
        assert await consumed.bury(GROUP, "m1", MESSAGE, "it \x00 failed")
        [kept] = await consumed.named("m1", None)
        assert (kept.group, kept.message_id, kept.state) == (GROUP, "m1", MessageState.DEAD)
        assert attrs.evolve(kept.message, headers={}) == attrs.evolve(MESSAGE, headers={})
        assert kept.message.headers["ce_id"] == "m1"
        assert kept.reason is not None
        assert kept.reason.startswith("it ")
        assert kept.since.tzinfo is not None
        assert await consumed.is_known(GROUP, "m1")
        assert not await take(consumed, "m1")

    @scenario
    async def test_a_message_without_key_and_body_is_kept_as_such(self, world: ConsumedWorld) -> None:
        """A tombstone is no empty body."""
        consumed = await world.open()
        await consumed.bury(GROUP, "none", attrs.evolve(MESSAGE, key=None, body=None), "no body")
        await consumed.bury(GROUP, "empty", attrs.evolve(MESSAGE, key=b"", body=b""), "no body")
        [none], [empty] = await consumed.named("none", GROUP), await consumed.named("empty", GROUP)
        assert (none.message.key, none.message.body) == (None, None)
        assert (empty.message.key, empty.message.body) == (b"", b"")

    @scenario
    async def test_what_is_known_is_not_buried(self, world: ConsumedWorld) -> None:
        """Neither what was handled nor what is dead: its first reason stays."""
        consumed = await world.open()
        await take(consumed, "done")
        assert not await consumed.bury(GROUP, "done", MESSAGE, "late")
        assert await consumed.named("done", None) == []
        assert await consumed.bury(GROUP, "dead", MESSAGE, "first")
        assert not await consumed.bury(GROUP, "dead", MESSAGE, "second")
        assert [kept.reason for kept in await consumed.named("dead", None)] == ["first"]

    @scenario
    async def test_a_revived_message_is_due_until_it_is_retaken(self, world: ConsumedWorld) -> None:
        """Once, by the group that it was dead for; then it is known as handled, and its body is forgotten."""
        consumed = await world.open()
        await consumed.bury(GROUP, "m1", MESSAGE, "it failed")
        assert not await retake(consumed, "m1")
        assert await consumed.due(GROUP, 10) == []
        assert await consumed.revive(GROUP, "m1")
        assert not await consumed.revive(GROUP, "m1")
        assert await consumed.due("mail", 10) == []
        [due] = await consumed.due(GROUP, 10)
        assert (due.message_id, due.message.body, due.state) == ("m1", MESSAGE.body, MessageState.DUE)
        assert not await take(consumed, "m1")
        assert await retake(consumed, "m1")
        assert not await retake(consumed, "m1")
        assert await consumed.due(GROUP, 10) == []
        assert await consumed.named("m1", None) == []
        assert await consumed.is_known(GROUP, "m1")

    @scenario
    async def test_of_many_at_once_one_retakes_a_message(self, world: ConsumedWorld) -> None:
        """Several members of a group may look for what is due at the same time."""
        consumed = await world.open()
        await consumed.bury(GROUP, "m1", MESSAGE, "it failed")
        await consumed.revive(GROUP, "m1")

        async def retaking() -> bool:
            while True:
                try:
                    return await retake(consumed, "m1")
                except StoreUnavailable:
                    await world.breathe()

        assert sorted(await world.together(*(retaking() for _ in range(4)))) == [False, False, False, True]

    @scenario
    async def test_a_replay_that_fails_leaves_the_message_due_or_dead(self, world: ConsumedWorld) -> None:
        """Due when its transaction fails, dead with the new reason when it is buried again."""
        consumed = await world.open()
        await consumed.bury(GROUP, "m1", MESSAGE, "first")
        await consumed.revive(GROUP, "m1")
        try:
            async with consumed.transaction() as tx:
                assert await tx.retake(GROUP, "m1")
                raise Undone
        except Undone:
            pass
        assert [due.message_id for due in await consumed.due(GROUP, 10)] == ["m1"]
        assert await consumed.bury(GROUP, "m1", MESSAGE, "second")
        [dead] = await consumed.named("m1", GROUP)
        assert (dead.state, dead.reason, dead.message.body) == (MessageState.DEAD, "second", MESSAGE.body)

    @scenario
    async def test_the_dead_are_listed_by_group_newest_first(self, world: ConsumedWorld) -> None:
        """Without bodies, at most as many as asked for; what was handled is not among them."""
        consumed = await world.open()
        for number in range(3):
            await consumed.bury(GROUP, f"m{number}", attrs.evolve(MESSAGE, position=number), f"reason {number}")
        await consumed.bury("mail", "m1", MESSAGE, "theirs")
        await take(consumed, "done")
        await consumed.revive(GROUP, "m0")
        ours = await consumed.kept(GROUP, 10)
        assert [record.message_id for record in ours] == ["m0", "m2", "m1"]
        assert ours[0].state is MessageState.DUE
        assert (ours[1].topic, ours[1].partition, ours[1].position) == ("payment.successful", 3, 2)
        assert ours[1].reason == "reason 2"
        assert len(await consumed.kept(None, 10)) == 4
        assert len(await consumed.kept(None, 2)) == 2
        assert [kept.group for kept in await consumed.named("m1", None)] == ["mail", GROUP]
        assert [kept.group for kept in await consumed.named("m1", GROUP)] == [GROUP]

    @scenario
    async def test_all_dead_messages_are_revived_together(self, world: ConsumedWorld) -> None:
        """Of one group, or of all; what is due already is not counted again."""
        consumed = await world.open()
        for number in range(3):
            await consumed.bury(GROUP, f"m{number}", MESSAGE, "it failed")
        await consumed.bury("mail", "m1", MESSAGE, "theirs")
        await consumed.revive(GROUP, "m0")
        assert await consumed.revive_all(GROUP) == 2
        assert [due.message_id for due in await consumed.due(GROUP, 2)] == ["m0", "m1"]
        assert await consumed.revive_all(None) == 1
        assert await consumed.revive_all(None) == 0

    @scenario
    async def test_an_unusable_database_is_store_unavailable(self, world: ConsumedWorld) -> None:
        """Whatever the driver says."""
        consumed = world.make_unreachable()
        if consumed is None:
            return
        world.keep(consumed)
        failed = 0
        for work in (take(consumed, "m1"), consumed.is_known(GROUP, "m1"), consumed.due(GROUP, 1)):
            try:
                await work
            except StoreUnavailable:
                failed += 1
        assert failed == 3
