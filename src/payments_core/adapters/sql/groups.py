"""Commits in groups: deliveries that arrive while a commit is under way share the next one.

Nobody waits for a group to form. A delivery that finds no commit under way begins one at once, alone; whatever has come
in when it ends is the next group. Each delivery is answered only after its own row is on disk.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Sequence

from attrs import define, field

from payments_core.adapters.sql.intake import LARGEST_GROUP, Key, Row, in_order, key_of
from payments_core.adapters.sql.writers import GroupWriter, Written
from payments_core.drive import run_blocking
from payments_core.errors import StoreUnavailable

_STOPPED = "The process stopped before the event was stored. Deliver it again."


class LoopGroups:
    """Groups on one event loop: a task writes while there is something to write."""

    def __init__(self, writer: GroupWriter) -> None:
        self._writer = writer
        self._waiting: list[tuple[Row, asyncio.Future[bool]]] = []
        self._task: asyncio.Task[None] | None = None

    async def receive(self, row: Row) -> bool:
        """Store a row; whether it is new. Raises StoreUnavailable."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bool] = loop.create_future()
        self._waiting.append((row, answer))
        if self._task is None:
            # In an empty context: the trace of one request does not cover what is written for the others.
            self._task = loop.create_task(self._write_all(), context=contextvars.Context())
        try:
            return await answer
        finally:
            # An error leads back to here, and from here to itself: in a circle, which would hold the event's body.
            del answer

    async def close(self) -> None:
        """Write what is waiting, and give the connection back."""
        if self._task is not None:
            await asyncio.wait([self._task])
        await self._writer.close()

    async def _write_all(self) -> None:
        group: Sequence[tuple[Row, asyncio.Future[bool]]] = ()
        try:
            while group := self._next():
                await self._write(group)
        finally:
            self._task = None
            for _, answer in (*group, *self._waiting):
                if not answer.done():
                    answer.set_exception(StoreUnavailable(_STOPPED))
            self._waiting.clear()

    def _next(self) -> Sequence[tuple[Row, asyncio.Future[bool]]]:
        """The next group; whoever was cancelled while waiting is left out."""
        waiting = [waiter for waiter in self._waiting if not waiter[1].done()]
        self._waiting = waiting[LARGEST_GROUP:]
        return waiting[:LARGEST_GROUP]

    async def _write(self, group: Sequence[tuple[Row, asyncio.Future[bool]]]) -> None:
        try:
            written = await self._writer.write(in_order(row for row, _ in group))
        except StoreUnavailable as error:
            for _, answer in group:
                if not answer.done():
                    answer.set_exception(_another(error))
            return
        answers = _answers([row for row, _ in group], written)
        for (_, answer), found in zip(group, answers, strict=True):
            # One that was cancelled has no use for its answer, and must not cost the others theirs.
            if answer.done():
                continue
            if isinstance(found, StoreUnavailable):
                answer.set_exception(found)
            else:
                answer.set_result(found)


@define(eq=False)
class _Delivery:
    """A thread's row, and what became of it; `turn` is released when there is an answer, or the lead."""

    row: Row
    answer: bool | StoreUnavailable | None = None
    leads: bool = False
    turn: threading.Semaphore = field(factory=lambda: threading.Semaphore(0))


class ThreadGroups:
    """Groups of the threads of one process: the first leads and writes, whoever comes meanwhile waits for its turn."""

    def __init__(self, writer: GroupWriter) -> None:
        self._writer = writer
        self._guard = threading.Lock()
        self._waiting: list[_Delivery] = []
        self._is_led = False

    def receive(self, row: Row) -> bool:
        """Store a row; whether it is new. Raises StoreUnavailable."""
        own = _Delivery(row)
        with self._guard:
            self._waiting.append(own)
            leads, self._is_led = not self._is_led, True
        if not leads:
            try:
                own.turn.acquire()
            except BaseException:
                self._forsake(own)
                raise
        if own.answer is None:
            self._lead()
        try:
            if isinstance(own.answer, StoreUnavailable):
                raise own.answer
            return bool(own.answer)
        finally:
            # As in LoopGroups: an error leads back to here.
            del own

    def close(self) -> None:
        """Give the connection back, when nobody is writing."""
        with self._guard:
            if self._is_led:
                return
            self._is_led = True
        try:
            run_blocking(self._writer.close())
        finally:
            self._hand_over()

    def _lead(self) -> None:
        """Write one group, which begins with the leader's own row, and hand the lead to whoever has waited longest."""
        with self._guard:
            group, self._waiting = self._waiting[:LARGEST_GROUP], self._waiting[LARGEST_GROUP:]
        try:
            self._write(group)
        finally:
            for delivery in group:
                if delivery.answer is None:
                    delivery.answer = StoreUnavailable(_STOPPED)
                delivery.turn.release()
            self._hand_over()

    def _forsake(self, own: _Delivery) -> None:
        """Leave without an answer, as a thread that a signal or a timeout takes away: nobody may wait for it.

        Its row goes with it, unless it is being written; where it had just been given the lead, the next one leads.
        """
        with self._guard:
            if own in self._waiting:
                self._waiting.remove(own)
        if own.leads and own.answer is None:
            self._hand_over()

    def _hand_over(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting[0].leads = True
                self._waiting[0].turn.release()
            else:
                self._is_led = False

    def _write(self, group: Sequence[_Delivery]) -> None:
        try:
            written = run_blocking(self._writer.write(in_order(delivery.row for delivery in group)))
        except StoreUnavailable as error:
            for delivery in group:
                delivery.answer = _another(error)
            return
        answers = _answers([delivery.row for delivery in group], written)
        for delivery, found in zip(group, answers, strict=True):
            delivery.answer = found


def _answers(rows: Sequence[Row], written: Written) -> Sequence[bool | StoreUnavailable]:
    """What each row's deliverer is told; of two with one key the first is new."""
    answers: list[bool | StoreUnavailable] = []
    told: set[Key] = set()
    for row in rows:
        key = key_of(row)
        refusal = written.refused.get(key)
        answers.append(refusal if refusal is not None else key in written.new and key not in told)
        told.add(key)
    return answers


def _another(error: StoreUnavailable) -> StoreUnavailable:
    """The same news for another request: one exception raised in many places would gather all their frames."""
    copy = StoreUnavailable(str(error))
    copy.__cause__ = error.__cause__
    return copy
