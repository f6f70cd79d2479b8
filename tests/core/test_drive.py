"""The drive: a flow of awaits on blocking parts runs to its end without an event loop, and anything else is loud."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from payments_core.drive import run_blocking
from payments_core.errors import FlowSuspendedError


class Suspension:
    """Awaiting it waits for an event loop."""

    def __await__(self) -> Generator[str, None, None]:
        yield "for ever"


async def test_a_running_loop_is_not_needed_and_not_disturbed() -> None:
    """The drive works inside a loop's thread too: it neither uses the loop nor stops it."""

    async def flow() -> int:
        return 1

    assert run_blocking(flow()) == 1
    await asyncio.sleep(0)


def test_a_flow_runs_to_its_end_without_a_loop() -> None:
    """Nested awaits, context managers and a return value, with no event loop anywhere."""
    steps: list[str] = []

    @asynccontextmanager
    async def block() -> AsyncGenerator[int]:
        steps.append("in")
        try:
            yield 20
        finally:
            steps.append("out")

    async def inner(value: int) -> int:
        return value + 1

    async def flow() -> int:
        async with block() as value:
            return await inner(value) * 2

    assert run_blocking(flow()) == 42
    assert steps == ["in", "out"]
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


def test_an_exception_passes_unchanged() -> None:
    """The flow's own exception arrives as the same object, with its cause, after its `finally` ran."""
    cleaned: list[str] = []
    error = ValueError("the flow's own")

    async def flow() -> None:
        try:
            raise error from KeyError("cause")
        finally:
            cleaned.append("yes")

    with pytest.raises(ValueError, match="the flow's own") as raised:
        run_blocking(flow())
    assert raised.value is error
    assert isinstance(raised.value.__cause__, KeyError)
    assert cleaned == ["yes"]


def test_a_suspension_names_the_flow() -> None:
    """What waits for a loop is an error that says which flow did."""

    async def settle_payment() -> None:
        await Suspension()

    with pytest.raises(FlowSuspendedError, match=r"settle_payment waited for an event loop \(on str\)"):
        run_blocking(settle_payment())


def test_a_suspended_flow_is_closed() -> None:
    """Its `finally` blocks run before the error is raised."""
    closed: list[str] = []

    async def flow() -> None:
        try:
            await Suspension()
        finally:
            closed.append("yes")

    with pytest.raises(FlowSuspendedError):
        run_blocking(flow())
    assert closed == ["yes"]


def test_a_finally_that_waits_again_does_not_hide_the_suspension() -> None:
    """Closing such a flow raises RuntimeError, which must not take the place of the news."""

    async def flow() -> None:
        try:
            await Suspension()
        finally:
            await Suspension()

    with pytest.raises(FlowSuspendedError, match="flow waited for an event loop"):
        run_blocking(flow())


def test_an_awaited_sleep_is_a_suspension() -> None:
    """The most likely mistake, `asyncio.sleep(0)` in a handler or adapter, is caught."""

    async def flow() -> None:
        await asyncio.sleep(0)

    with pytest.raises(FlowSuspendedError):
        run_blocking(flow())


class BlockingBank:
    """The port of the test, over SQLAlchemy's blocking connection."""

    def __init__(self) -> None:
        self.engine = create_engine("sqlite://")

    @asynccontextmanager
    async def total(self) -> AsyncGenerator[int]:
        with self.engine.connect() as connection:
            yield int(connection.execute(text("SELECT 40 + 2")).scalar_one())


class AsyncBank:
    """The same port over the asynchronous connection."""

    def __init__(self) -> None:
        self.engine = create_async_engine("sqlite+aiosqlite://")

    @asynccontextmanager
    async def total(self) -> AsyncGenerator[int]:
        async with self.engine.connect() as connection:
            yield int((await connection.execute(text("SELECT 40 + 2"))).scalar_one())


async def ask(bank: BlockingBank | AsyncBank) -> int:
    """The one flow for both worlds."""
    async with bank.total() as total:
        return total


def test_one_flow_serves_both_worlds() -> None:
    """Driven over the blocking connection and awaited over the asynchronous one, it says the same."""
    blocking = BlockingBank()
    assert run_blocking(ask(blocking)) == 42
    blocking.engine.dispose()

    async def awaited() -> int:
        bank = AsyncBank()
        try:
            return await ask(bank)
        finally:
            await bank.engine.dispose()

    assert asyncio.run(awaited()) == 42
