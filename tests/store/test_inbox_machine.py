"""The inbox against a model: any sequence of deliveries, claims, endings and passing time, on memory and on SQLite.

The model is the rules of `payments_core.domain.delivery` written as plainly as possible. The real stores are driven
synchronously, so that Hypothesis can shrink a failing sequence to its core.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

from attrs import define, field
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from payments_core.adapters.memory import MemoryStore
from payments_core.adapters.sql import Limits, blocking_store, upgrade
from payments_core.domain.delivery import LATE_LEASES, ClaimedEvent, InboxState
from payments_core.drive import run_blocking
from payments_core.ports import Store
from payments_core.testing.contracts.examples import received
from tests.store.worlds import HandClock

OPEN = (InboxState.READY, InboxState.LEASED, InboxState.PARKED)


@define
class Row:
    """What the model knows of an event: its place in the order, not its number. Times are seconds from the start."""

    seq: int
    received_s: float
    next_s: float
    state: InboxState = InboxState.READY
    token: int = 0
    attempts: int = 0
    lane: str | None = None


@define
class Model:
    """The inbox as the contract describes it."""

    now_s: float = 0
    rows: dict[str, Row] = field(factory=dict)

    def is_busy(self, lane: str | None, but: Row) -> bool:
        """Whether another event of the lane is leased, run out or not."""
        return lane is not None and any(
            row.lane == lane and row.state is InboxState.LEASED and row is not but for row in self.rows.values()
        )

    def due(self) -> list[Row]:
        """What a claim without a limit takes, in the order in which a limit cuts it."""
        waiting = [row for row in self.rows.values() if row.state in OPEN and row.next_s <= self.now_s]
        free = [row for row in waiting if not self.is_busy(row.lane, row)]
        first = [
            row
            for row in free
            if row.lane is None
            or row.state is InboxState.LEASED
            or not any(other.lane == row.lane and other.seq < row.seq for other in waiting)
        ]
        return sorted(first, key=lambda row: (row.next_s, row.seq))

    def holder(self, claimed: ClaimedEvent) -> Row | None:
        """The event, if the claim still holds it."""
        row = self.rows[claimed.event_id]
        return row if row.state is InboxState.LEASED and row.token == claimed.token else None


class InboxMachine(RuleBasedStateMachine):
    """The steps; subclasses say over which store."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock(tick_us=0)
        self.model = Model()
        self.claims: list[ClaimedEvent] = []
        self.store: Store

    @rule(number=st.integers(0, 7))
    def receive(self, number: int) -> None:
        name = f"evt_{number}"
        new = run_blocking(self.store.receive(received(name)))
        assert new is (name not in self.model.rows)
        if new:
            self.model.rows[name] = Row(len(self.model.rows) + 1, self.model.now_s, self.model.now_s)

    @rule(seconds=st.sampled_from([1, 10, 29, 30, 31, 100, 121]))
    def pass_time(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.model.now_s += seconds

    @rule(limit=st.integers(1, 5), lease_s=st.sampled_from([10, 30]))
    def claim(self, limit: int, lease_s: int) -> None:
        found = run_blocking(self.store.claim(limit=limit, lease_s=lease_s))
        due = self.model.due()
        # One whose lease ran out comes alone: it may be what ended its worker.
        expected = [row for row in due if row.state is InboxState.LEASED][:1] or due[:limit]
        for row in expected:
            leases = LATE_LEASES if row.state is InboxState.LEASED else 1
            row.state, row.next_s = InboxState.LEASED, self.model.now_s + lease_s * leases
            row.token += 1
            row.attempts += 1
        self.claims.extend(found)
        named = [(event.event_id, event.attempt, event.lane) for event in found]
        by_seq = sorted(self.model.rows.items(), key=lambda item: item[1].seq)
        assert named == [(name, row.attempts, row.lane) for name, row in by_seq if row in expected]
        ordered = sorted(expected, key=lambda row: row.seq)
        assert [event.token for event in found] == [row.token for row in ordered]

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), lane=st.sampled_from(["p1", "p2", "p3"]))
    def assign_lane(self, data: st.DataObject, lane: str) -> None:
        claimed = data.draw(st.sampled_from(self.claims))
        told = run_blocking(self.store.assign_lane(claimed, lane))
        row = self.model.holder(claimed)
        assert told is (row is not None and not self.model.is_busy(lane, row))
        if told and row is not None:
            row.lane = lane

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), delay_s=st.sampled_from([0, 5, 50]), counted=st.booleans(), parked=st.booleans())
    def let_go(self, data: st.DataObject, delay_s: int, counted: bool, parked: bool) -> None:
        claimed = data.draw(st.sampled_from(self.claims))
        told = run_blocking(self.store.let_go(claimed, delay_s=delay_s, reason="later", counted=counted, parked=parked))
        row = self.model.holder(claimed)
        assert told is (row is not None)
        if row is not None:
            row.state = InboxState.PARKED if parked else InboxState.READY
            row.next_s = self.model.now_s + delay_s
            row.attempts -= 0 if counted else 1

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def bury(self, data: st.DataObject) -> None:
        claimed = data.draw(st.sampled_from(self.claims))
        row = self.model.holder(claimed)
        assert run_blocking(self.store.bury(claimed, "no more")) is (row is not None)
        if row is not None:
            row.state = InboxState.DEAD

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), fails=st.booleans())
    def complete(self, data: st.DataObject, fails: bool) -> None:
        claimed = data.draw(st.sampled_from(self.claims))
        row = self.model.holder(claimed)

        async def handle() -> bool:
            async with self.store.transaction() as tx:
                stamped = await tx.stamp_done(claimed)
                if fails:
                    raise ArithmeticError
                return stamped

        if fails:
            try:
                run_blocking(handle())
            except ArithmeticError:
                return
        assert run_blocking(handle()) is (row is not None)
        if row is not None:
            row.state = InboxState.DONE

    @invariant()
    def what_waits_is_known(self) -> None:
        rows = self.model.rows.values()
        waiting = [row for row in rows if row.state in OPEN]
        reachable = [row.next_s for row in waiting if not self.model.is_busy(row.lane, row)]
        expected_s = max(0.0, min(reachable) - self.model.now_s) if reachable else None
        assert run_blocking(self.store.next_due_s()) == expected_s
        health = run_blocking(self.store.health())
        assert health.dead_letters == sum(row.state is InboxState.DEAD for row in rows)
        assert health.oldest_unhandled_s == max((self.model.now_s - row.received_s for row in waiting), default=0)

    @invariant()
    def no_lane_is_leased_twice(self) -> None:
        lanes = [row.lane for row in self.model.rows.values() if row.state is InboxState.LEASED and row.lane]
        assert len(lanes) == len(set(lanes))

    def teardown(self) -> None:
        run_blocking(self.store.close())


class MemoryInboxMachine(InboxMachine):
    """In memory."""

    @initialize()
    def open(self) -> None:
        self.store = MemoryStore(clock=self.clock)


class SqliteInboxMachine(InboxMachine):
    """In a file of its own for every run, copied from an empty one: a migration takes longer than the run."""

    empty: Path | None = None

    @initialize()
    def open(self) -> None:
        cls = SqliteInboxMachine
        if cls.empty is None or not cls.empty.exists():
            cls.empty = Path(tempfile.mkdtemp(prefix="payments-core-test-")) / "empty.db"
            atexit.register(shutil.rmtree, cls.empty.parent, ignore_errors=True)
            upgrade(f"sqlite:///{cls.empty}")
        self.folder = Path(tempfile.mkdtemp(prefix="payments-core-test-"))
        shutil.copy(cls.empty, self.folder / "payments.db")
        self.store = blocking_store(
            f"sqlite:///{self.folder / 'payments.db'}", clock=self.clock, limits=Limits(pool_size=1, overflow=0)
        )

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.folder)


TestMemoryInbox = MemoryInboxMachine.TestCase
TestMemoryInbox.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestSqliteInbox = SqliteInboxMachine.TestCase
TestSqliteInbox.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
