"""What a developer's handler may do with `tx.session` and `tx.connection`, in both worlds: all of it stays atomic."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import CheckConstraint, Engine, create_engine, insert, text
from sqlalchemy.exc import IntegrityError, InternalError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from payments_core.adapters.sql import async_store, blocking_store
from payments_core.errors import ConfigurationError, StoreUnavailable
from payments_core.ports import StoreTransaction
from payments_core.testing.contracts.examples import claim_one, outgoing, payment, received
from tests.store.worlds import LIMITS, SqliteWorld, SqlWorld

CREATE = "CREATE TABLE shop_order (id integer PRIMARY KEY, note text NOT NULL CHECK (note <> 'bad'))"


class Base(DeclarativeBase):
    """The shop's own models."""


class Order(Base):
    """A row of the shop, beside the library's."""

    __tablename__ = "shop_order"
    __table_args__ = (CheckConstraint("note <> 'bad'"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    note: Mapped[str]


class HandlerFailed(Exception):
    """What a handler raises of its own."""


Handler = Callable[[Any], Awaitable[None]]


async def done(result: object) -> Any:
    """Await what the async world's session returns; the blocking one's is there already."""
    return await result if inspect.isawaitable(result) else result


async def write(tx: Any, note: str, number: int) -> None:
    """A handler's plain statement."""
    await done(tx.session.execute(text(f"INSERT INTO shop_order (id, note) VALUES ({number}, '{note}')")))


async def settle(world: SqlWorld, handler: Handler, *, store: Any = None) -> None:
    """What the library does around a handler: stamp, record, handler, event."""
    store = store or await world.open()
    async with store.transaction() as tx:
        await done_connection(tx, CREATE)
    await store.add_payment(payment("p1"))
    await store.receive(received("evt_1"))
    claimed = await claim_one(store)
    async with store.transaction() as tx:
        assert await tx.stamp_done(claimed)
        await tx.lock_payment("p1")
        assert await tx.record("p1", "settled", "", "fact-1")
        await handler(tx.handle)
        await tx.flush()
        await tx.enqueue([outgoing("fact-1")])


async def done_connection(tx: StoreTransaction, statement: str) -> None:
    """A statement through `tx.connection`."""
    await done(tx.handle.connection.execute(text(statement)))


def committed(world: SqlWorld) -> tuple[list[Any], list[Any], list[Any]]:
    """What is in the database: the shop's rows, the facts, the outgoing events."""
    tables = ("id, note FROM shop_order", "event_id FROM payments_transition", "event_id FROM payments_outbox")
    return tuple(world.query(f"SELECT {table} ORDER BY 1") for table in tables)  # type: ignore[attr-defined,return-value]


ALL = [("fact-1",)]
NOTHING: tuple[list[Any], list[Any], list[Any]] = ([], [], [])


def test_a_handlers_write_commits_with_the_librarys(sql_world: SqlWorld) -> None:
    """The shop's row, the fact and the event are there together."""

    async def handler(tx: Any) -> None:
        await write(tx, "paid", 1)

    sql_world.run(settle(sql_world, handler))
    assert committed(sql_world) == ([(1, "paid")], ALL, ALL)


def test_a_handler_that_raises_leaves_no_trace(sql_world: SqlWorld) -> None:
    """Its error passes unchanged, and neither its writes nor the library's are there."""

    async def handler(tx: Any) -> None:
        await write(tx, "paid", 1)
        raise HandlerFailed("no")

    with pytest.raises(HandlerFailed, match="no"):
        sql_world.run(settle(sql_world, handler))
    assert committed(sql_world) == NOTHING


def test_a_handler_that_commits_and_raises_leaves_no_trace(sql_world: SqlWorld) -> None:
    """`session.commit()` ends a savepoint: it cannot save anything by itself."""

    async def handler(tx: Any) -> None:
        await write(tx, "paid", 1)
        await done(tx.session.commit())
        await write(tx, "paid", 2)
        await done(tx.session.commit())
        raise HandlerFailed

    with pytest.raises(HandlerFailed):
        sql_world.run(settle(sql_world, handler))
    assert committed(sql_world) == NOTHING


def test_a_handler_that_rolls_back_undoes_its_own_writes_only(sql_world: SqlWorld) -> None:
    """`session.rollback()` takes back what the handler wrote before, and nothing of the library's."""

    async def handler(tx: Any) -> None:
        await write(tx, "taken back", 1)
        await done(tx.session.rollback())
        await write(tx, "kept", 2)

    sql_world.run(settle(sql_world, handler))
    assert committed(sql_world) == ([(2, "kept")], ALL, ALL)


def test_a_handler_may_catch_an_integrity_error(sql_world: SqlWorld) -> None:
    """A duplicate that the handler expects and catches in a nested block does not spoil the transaction."""

    async def handler(tx: Any) -> None:
        await write(tx, "first", 1)
        nested = await done(tx.session.begin_nested())
        try:
            await write(tx, "again", 1)
        except IntegrityError:
            await done(nested.rollback())
        await write(tx, "second", 2)

    sql_world.run(settle(sql_world, handler))
    assert committed(sql_world) == ([(1, "first"), (2, "second")], ALL, ALL)


def test_a_handler_may_catch_an_integrity_error_and_roll_back(sql_world: SqlWorld) -> None:
    """Without a nested block its own rollback repairs the session; the library's writes stay."""

    async def handler(tx: Any) -> None:
        await write(tx, "first", 1)
        with pytest.raises(IntegrityError):
            await write(tx, "again", 1)
        await done(tx.session.rollback())
        await write(tx, "second", 2)

    sql_world.run(settle(sql_world, handler))
    assert committed(sql_world) == ([(2, "second")], ALL, ALL)


@pytest.mark.parametrize("through", ["connection", "session"])
def test_a_caught_error_that_ended_the_transaction_is_no_success(sql_world: SqlWorld, through: str) -> None:
    """PostgreSQL answers COMMIT with ROLLBACK then, without an error: the handler is told, and nothing is there."""

    async def handler(tx: Any) -> None:
        await write(tx, "first", 1)
        with pytest.raises(IntegrityError):
            await done(getattr(tx, through).execute(text(ending(sql_world, 1))))

    with pytest.raises(ConfigurationError, match="begin_nested"):
        sql_world.run(settle(sql_world, handler))
    assert committed(sql_world) == NOTHING


def test_a_session_that_begins_after_the_transaction_ended_is_no_success(sql_world: SqlWorld) -> None:
    """In SQLite its savepoint is a transaction of its own, which hides that the first one ended until the commit."""

    async def handler(tx: Any) -> None:
        await done(tx.connection.execute(text("INSERT INTO shop_order (id, note) VALUES (1, 'first')")))
        with pytest.raises(IntegrityError):
            await done(tx.connection.execute(text(ending(sql_world, 1))))
        with suppress(InternalError):
            await write(tx, "second", 2)

    with pytest.raises(ConfigurationError, match="begin_nested"):
        sql_world.run(settle(sql_world, handler))
    assert committed(sql_world)[1] == []


def test_an_error_caught_around_a_nested_block_of_the_connection_is_no_matter(sql_world: SqlWorld) -> None:
    """`tx.connection.begin_nested()` undoes what failed in it, and the rest commits."""

    async def handler(tx: Any) -> None:
        await done(tx.connection.execute(text("INSERT INTO shop_order (id, note) VALUES (1, 'first')")))
        nested = await done(tx.connection.begin_nested())
        with pytest.raises(IntegrityError):
            await done(tx.connection.execute(text("INSERT INTO shop_order (id, note) VALUES (1, 'again')")))
        await done(nested.rollback())

    sql_world.run(settle(sql_world, handler))
    assert committed(sql_world) == ([(1, "first")], ALL, ALL)


def ending(world: SqlWorld, number: int) -> str:
    """An insert that ends the whole transaction where the number is taken: in PostgreSQL any does."""
    verb = "INSERT OR ROLLBACK" if isinstance(world, SqliteWorld) else "INSERT"
    return f"{verb} INTO shop_order (id, note) VALUES ({number}, 'again')"


def test_pending_objects_are_sent_and_stay_readable(sql_world: SqlWorld) -> None:
    """What a handler adds is written without its commit, and its objects are not expired afterwards."""
    orders: list[Order] = []

    async def handler(tx: Any) -> None:
        orders.append(Order(id=1, note="added"))
        tx.session.add(orders[0])

    sql_world.run(settle(sql_world, handler))
    assert committed(sql_world) == ([(1, "added")], ALL, ALL)
    assert orders[0].note == "added"


def test_a_pending_object_that_breaks_a_constraint_is_the_handlers_error(sql_world: SqlWorld) -> None:
    """It surfaces at the flush, as SQLAlchemy raises it, before anything is committed."""

    async def handler(tx: Any) -> None:
        tx.session.add(Order(id=1, note="bad"))

    with pytest.raises(IntegrityError):
        sql_world.run(settle(sql_world, handler))
    assert committed(sql_world) == NOTHING


def test_the_session_is_one_and_the_same(sql_world: SqlWorld) -> None:
    """Handlers of one fact share it."""

    async def handler(tx: Any) -> None:
        assert tx.session is tx.session
        assert isinstance(tx.session, Session if sql_world.io == "blocking" else AsyncSession)

    sql_world.run(settle(sql_world, handler))
    assert committed(sql_world) == ([], ALL, ALL)


def test_the_connection_carries_the_same_transaction(sql_world: SqlWorld) -> None:
    """What goes through `tx.connection` is undone with the rest."""

    async def handler(tx: Any) -> None:
        await done(tx.connection.execute(text("INSERT INTO shop_order (id, note) VALUES (1, 'core')")))
        raise HandlerFailed

    with pytest.raises(HandlerFailed):
        sql_world.run(settle(sql_world, handler))
    assert committed(sql_world) == NOTHING


@pytest.mark.parametrize("ending", ["commit", "rollback", "close", "get_transaction"])
def test_the_connection_cannot_end_the_transaction(sql_world: SqlWorld, ending: str) -> None:
    """It has no savepoint to end: the handler is told, and nothing is left half done."""

    async def handler(tx: Any) -> None:
        await done(tx.connection.execute(text("INSERT INTO shop_order (id, note) VALUES (1, 'core')")))
        await done(getattr(tx.connection, ending)())

    with pytest.raises(ConfigurationError, match=r"may not commit or roll back tx\.connection"):
        sql_world.run(settle(sql_world, handler))
    assert committed(sql_world) == NOTHING


def test_a_session_class_of_the_shop_is_used(sql_world: SqlWorld) -> None:
    """The store makes the session with the shop's own factory."""

    class ShopSession(Session):
        """The shop's."""

    class AsyncShopSession(AsyncSession):
        """The shop's."""

    factory = ShopSession if sql_world.io == "blocking" else AsyncShopSession

    async def handler(tx: Any) -> None:
        assert type(tx.session) is factory
        await write(tx, "paid", 1)

    async def told() -> None:
        build = blocking_store if sql_world.io == "blocking" else async_store
        store = build(sql_world.url, clock=sql_world.clock, session_factory=factory, limits=LIMITS)
        await store.prepare()
        try:
            await settle(sql_world, handler, store=store)
        finally:
            await store.close()

    sql_world.run(told())
    assert committed(sql_world) == ([(1, "paid")], ALL, ALL)


def routing_factory(world: SqlWorld, how: str) -> Any:
    """A session factory that sends the shop's models to another database, which has no such table."""
    elsewhere = create_engine("sqlite://")
    if how == "binds":
        if world.io == "blocking":
            return sessionmaker(binds={Order: elsewhere})
        return async_sessionmaker(binds={Order: create_async_engine("sqlite+aiosqlite://")})

    class RoutingSession(Session):
        """As SQLAlchemy's recipe for it, and as Flask-SQLAlchemy's."""

        def get_bind(self, *_: Any, **__: Any) -> Engine:
            return elsewhere

    if world.io == "blocking":
        return sessionmaker(class_=RoutingSession)
    return async_sessionmaker(sync_session_class=RoutingSession)


@pytest.mark.parametrize("how", ["binds", "get_bind"])
def test_a_session_that_routes_stays_in_the_transaction(sql_world: SqlWorld, how: str) -> None:
    """Wherever it sends its models elsewhere, here everything goes through the library's connection."""

    async def handler(tx: Any) -> None:
        tx.session.add(Order(id=1, note="added"))
        await done(tx.session.flush())
        await done(tx.session.execute(insert(Order).values(id=2, note="executed")))
        assert await done(tx.session.get(Order, 1)) is not None
        await write(tx, "plain", 3)

    async def told() -> None:
        build = blocking_store if sql_world.io == "blocking" else async_store
        factory = routing_factory(sql_world, how)
        store = build(sql_world.url, clock=sql_world.clock, session_factory=factory, limits=LIMITS)
        await store.prepare()
        try:
            await settle(sql_world, handler, store=store)
        finally:
            await store.close()

    sql_world.run(told())
    assert committed(sql_world) == ([(1, "added"), (2, "executed"), (3, "plain")], ALL, ALL)


def test_the_connection_is_clean_for_the_next_transaction(sql_world: SqlWorld) -> None:
    """After a handler failed, committed and broke a constraint, the store goes on as if nothing had been."""

    async def handler(tx: Any) -> None:
        await write(tx, "paid", 1)
        await done(tx.session.commit())
        await write(tx, "bad", 2)

    async def told() -> None:
        store = await sql_world.open()
        with pytest.raises(IntegrityError):
            await settle(sql_world, handler, store=store)
        for number in range(LIMITS.pool_size + LIMITS.overflow + 1):
            assert await store.receive(received(f"evt_more_{number}"))

    sql_world.run(told())
    assert committed(sql_world) == NOTHING


def test_the_librarys_own_failures_are_not_taken_for_the_handlers(sql_world: SqlWorld) -> None:
    """A statement of the library's that fails in the block is StoreUnavailable; the cause is kept, its values not."""

    async def told() -> None:
        store = await sql_world.open()
        async with store.transaction() as tx:
            await tx.record("nobody", "settled", "", "canary-value")

    with pytest.raises(StoreUnavailable) as raised:
        sql_world.run(told())
    assert isinstance(raised.value.__cause__, IntegrityError)
    assert "canary-value" not in f"{raised.value} {raised.value.__cause__}"
