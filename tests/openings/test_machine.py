"""Any number of requests under a few keys, stopped, killed and delayed at any step, at a Stripe that fails in any way.

The model is one sentence: of the sessions that were made under one user's key, at most one can be paid at any time. And
nobody is ever given the session of another request.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from attrs import frozen
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from payments_core import IdempotencyConflict, IdempotencyInProgress, StoreUnavailable
from payments_core.adapters.memory import MemoryStore
from payments_core.adapters.sql import Limits, blocking_store, upgrade
from payments_core.domain.opening import LEASE_S
from payments_core.drive import run_blocking
from payments_core.errors import StripeError
from payments_core.ports import Store
from tests.openings.stage import FAULTS, Request, Stage, Stripe, order_of
from tests.store.worlds import HandClock

HONEST = (IdempotencyConflict, IdempotencyInProgress, StripeError, StoreUnavailable)


@frozen
class Asked:
    """A request, and who asked for what under which key."""

    request: Request
    user: str | None
    key: str
    body: str

    @property
    def order(self) -> str:
        return f"{self.user}/{self.key}/{self.body}"


class Doors(RuleBasedStateMachine):
    """Requests in the blocking world, each step one port call of the real flow."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock()
        self.store = self.make_store()
        run_blocking(self.store.prepare())
        self.stripe = Stripe(lambda: self.clock().timestamp())
        self.stage = Stage(self.store, self.stripe, self.clock)
        self.running: list[Asked] = []

    def make_store(self) -> Store:
        return MemoryStore(clock=self.clock)

    names = st.sampled_from((("u1", "k1"), ("u1", "k1"), ("u1", "k1"), ("u1", "k2"), (None, "k1")))
    bodies = st.sampled_from(("a", "a", "a", "b"))
    faults = st.sampled_from(("", *FAULTS))

    @rule(name=names, body=bodies, fault=faults, steps=st.integers(1, 8), dies=st.booleans())
    def asks(self, name: tuple[str | None, str], body: str, fault: str, steps: int, dies: bool) -> None:
        """A request, perhaps a repeated one, on any worker; it takes some steps, and its worker lives on or dies."""
        user, key = name
        self.stripe.faults = [fault] if fault else []
        asked = Asked(self.stage.ask(key=key, user_id=user, order=f"{user}/{key}/{body}"), user, key, body)
        for _ in range(steps):
            asked.request.step()
        if dies and not asked.request.is_over:
            asked.request.kill()
        else:
            self.running.append(asked)
        self._seen()

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 100), fault=faults, steps=st.integers(1, 8))
    def goes_on(self, which: int, fault: str, steps: int) -> None:
        """One that was silent for some time takes some more steps."""
        self.stripe.faults = [fault] if fault else []
        request = self.running[which % len(self.running)].request
        for _ in range(steps):
            request.step()
        self._seen()

    @rule()
    def stripe_carries_out(self) -> None:
        """What arrived there is done, whether or not anybody waits for it."""
        self.stripe.finish_what_arrived()

    @rule()
    def time_passes(self) -> None:
        """Leases run out; who held them may go on later."""
        self.clock.advance(LEASE_S + 1)

    @rule(hours=st.sampled_from((1, 6, 23.2, 25, 49, 73)))
    def hours_pass(self, hours: float) -> None:
        """No request lives for so long: what runs comes to its end, or is dead."""
        self.stripe.finish_what_arrived()
        for asked in self.running:
            asked.request.finish()
        self._seen()
        self.clock.advance(hours * 3600)

    @invariant()
    def one_session_can_be_paid_under_a_key(self) -> None:
        """Whatever happened."""
        names = Counter(str(one["metadata"]["order"]).rpartition("/")[0] for one in self.stripe.open_sessions())
        assert max(names.values(), default=0) <= 1, names

    def teardown(self) -> None:
        """When all is well again, every key leads to a session, within a few tries."""
        for asked in self.running:
            asked.request.kill()
        self.stripe.faults.clear()
        self.stripe.finish_what_arrived()
        self.clock.advance(LEASE_S + 1)
        for user, key in (("u1", "k1"), (None, "k2")):
            ended = [self._asked_to_the_end(user, key, body) for body in ("a", "b")]
            assert sum(one.result is not None for one in ended) == 1, [one.error for one in ended]
        self.one_session_can_be_paid_under_a_key()
        run_blocking(self.store.close())

    def _asked_to_the_end(self, user: str | None, key: str, body: str) -> Request:
        asked = Asked(self.stage.ask(key=key, user_id=user, order=f"{user}/{key}/{body}"), user, key, body)
        for _ in range(4):
            asked.request.finish()
            if asked.request.result is not None or isinstance(asked.request.error, IdempotencyConflict):
                break
            asked = Asked(self.stage.ask(key=key, user_id=user, order=asked.order), user, key, body)
        self._judge(asked)
        return asked.request

    def _seen(self) -> None:
        for asked in [one for one in self.running if one.request.is_over]:
            self._judge(asked)
            self.running.remove(asked)

    def _judge(self, asked: Asked) -> None:
        result, error = asked.request.result, asked.request.error
        assert result is None or order_of(self.stripe, result) == asked.order
        assert error is None or isinstance(error, HONEST)


class DoorsOnSqlite(Doors):
    """The same on a file."""

    def make_store(self) -> Store:
        self.folder = Path(tempfile.mkdtemp())
        shutil.copy(_template(), self.folder / "payments.db")
        url = f"sqlite:///{self.folder / 'payments.db'}"
        return blocking_store(url, clock=self.clock, limits=Limits(pool_size=1, overflow=0))

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.folder)


_TEMPLATES: list[Path] = []


def _template() -> Path:
    """A file with the schema, made once."""
    if not _TEMPLATES:
        folder = Path(tempfile.mkdtemp())
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        upgrade(f"sqlite:///{folder / 'payments.db'}")
        _TEMPLATES.append(folder / "payments.db")
    return _TEMPLATES[0]


_CHECKS = list(HealthCheck)
TestInMemory = Doors.TestCase
TestInMemory.settings = settings(max_examples=200, stateful_step_count=30, deadline=None, suppress_health_check=_CHECKS)
TestOnSqlite = DoorsOnSqlite.TestCase
TestOnSqlite.settings = settings(max_examples=20, stateful_step_count=20, deadline=None, suppress_health_check=_CHECKS)
