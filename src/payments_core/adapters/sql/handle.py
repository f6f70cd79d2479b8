"""What a developer's handler is given of the library's transaction: a session and a connection bound to it.

The session joins by a savepoint (`join_transaction_mode="create_savepoint"`), so that a handler which commits, rolls
back or catches an IntegrityError ends or repairs its savepoint and never the transaction; SQLAlchemy's other modes leak
the write of a handler that commits and then raises, or break the transaction. It is made on first use, since most
transactions need none. `connection.commit()` has no savepoint to end: it is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol, TypeAlias

from attrs import define
from sqlalchemy import Connection, Engine, PoolProxiedConnection, RootTransaction
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from payments_core.adapters.sql.faults import translated_outages
from payments_core.errors import ConfigurationError

#: A Session or AsyncSession class or sessionmaker of the developer's own.
SessionFactory: TypeAlias = Callable[..., Any]

_JOINED: Final[dict[str, Any]] = {"join_transaction_mode": "create_savepoint", "expire_on_commit": False}


@define(eq=False)
class Guard:
    """Keeps a handler, while it `stands`, from ending the library's transaction by `connection.commit()`."""

    stands: bool = False

    def check(self) -> None:
        """Raise ConfigurationError while it stands."""
        if self.stands:
            raise ConfigurationError(
                "A handler may not commit or roll back tx.connection: the event's own record is in that transaction. "
                "Raise to undo everything, or use tx.session, whose commit and rollback end a savepoint."
            )


class GuardedConnection(Connection):
    """A connection with the guard before everything that ends its transaction or leads to what could.

    The engine's events would do as well, and would make every statement of every connection slower.
    """

    def __init__(self, engine: Engine, pooled: PoolProxiedConnection, guard: Guard) -> None:
        super().__init__(engine, pooled)
        self._guard = guard

    def commit(self) -> None:
        """Raises ConfigurationError for a handler."""
        self._guard.check()
        super().commit()

    def rollback(self) -> None:
        """Raises ConfigurationError for a handler."""
        self._guard.check()
        super().rollback()

    def close(self) -> None:
        """Raises ConfigurationError for a handler: it would roll back."""
        self._guard.check()
        super().close()

    def get_transaction(self) -> RootTransaction | None:
        """Raises ConfigurationError for a handler, who could commit what it gives."""
        self._guard.check()
        return super().get_transaction()


def require_whole(connection: Connection | None, *, begun: bool = False) -> None:
    """Raise ConfigurationError where the transaction has ended, or cannot but be rolled back, before its commit.

    After a failed statement PostgreSQL answers COMMIT with ROLLBACK, and no driver makes an error of that. SQLite ends
    the whole transaction at a conflict of INSERT OR ROLLBACK; what is written then is committed at once. `begun`: that
    something was written in it before is known, so that none may be there only because a handler ended it.
    """
    if connection is None or connection.invalidated:
        return  # The commit says so itself.
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        is_whole = driver.in_transaction
    else:
        status = driver.info.transaction_status.name
        is_whole = status == "INTRANS" if begun else status != "INERROR"
    if not is_whole:
        raise ConfigurationError(
            "A handler caught the error of a statement that undid the whole transaction, so nothing is committed. "
            "Run what may fail inside tx.session.begin_nested() or tx.connection.begin_nested(), or let the error pass."
        )


class LibraryHandle(Protocol):
    """`payments_core.ports.Transaction`, and what the library itself does with it."""

    @property
    def session(self) -> Any:
        """See `payments_core.ports.Transaction`."""
        ...

    @property
    def connection(self) -> Any:
        """See `payments_core.ports.Transaction`."""
        ...

    async def flush(self) -> None:
        """Send what is pending in the session, when the handlers have run.

        A constraint that it breaks raises what SQLAlchemy raises, a transaction that a handler let fail raises
        ConfigurationError.
        """
        ...

    async def finish(self) -> None:
        """Commit the session's savepoint and let the library end the transaction."""
        ...

    async def abandon(self) -> None:
        """Drop the session with what is pending and let the library end the transaction."""
        ...


def _keep_to(connection: Connection, session: Any) -> None:
    """Let nothing but an explicit `bind` lead the session away from the transaction.

    `binds=` and a class's own `get_bind` (SQLAlchemy's recipe for routing, Flask-SQLAlchemy) go before the `bind` that
    a session is made with: what they send elsewhere would be committed elsewhere, whatever becomes of the event.
    """

    def get_bind(*_: Any, bind: Any = None, **__: Any) -> Any:
        return connection if bind is None else bind

    session.get_bind = get_bind


class BlockingHandle:
    """A `Session` on a `Connection`; `connect` gives the connection, made on first use."""

    def __init__(self, connect: Callable[[], Connection], guard: Guard, factory: SessionFactory | None) -> None:
        self._connect = connect
        self._factory = factory or Session
        self._session: Any = None
        self._guard = guard

    @property
    def session(self) -> Any:
        """The session, made on first use."""
        if self._session is None:
            connection = self.connection
            self._session = self._factory(bind=connection, **_JOINED)
            _keep_to(connection, self._session)
        return self._session

    @property
    def connection(self) -> Any:
        """The connection."""
        self._guard.stands = True
        return self._connect()

    async def flush(self) -> None:
        """See LibraryHandle."""
        if self._guard.stands:
            require_whole(self._connect(), begun=True)
        if self._session is not None:
            with translated_outages():
                self._session.flush()

    async def finish(self) -> None:
        """See LibraryHandle."""
        if self._session is not None:
            with translated_outages():
                self._session.commit()
                self._session.close()
        self._guard.stands = False

    async def abandon(self) -> None:
        """See LibraryHandle."""
        if self._session is not None:
            with suppress(SQLAlchemyError, OSError):
                self._session.close()
        self._guard.stands = False


class AsyncHandle:
    """An `AsyncSession` on an `AsyncConnection`; `connect` gives the connection, made on first use."""

    def __init__(self, connect: Callable[[], AsyncConnection], guard: Guard, factory: SessionFactory | None) -> None:
        self._connect = connect
        self._factory = factory or AsyncSession
        self._session: Any = None
        self._guard = guard

    @property
    def session(self) -> Any:
        """The session, made on first use."""
        if self._session is None:
            connection = self.connection
            self._session = self._factory(bind=connection, **_JOINED)
            _keep_to(connection.sync_connection, self._session.sync_session)
        return self._session

    @property
    def connection(self) -> Any:
        """The connection."""
        self._guard.stands = True
        return self._connect()

    async def flush(self) -> None:
        """See LibraryHandle."""
        if self._guard.stands:
            require_whole(self._connect().sync_connection, begun=True)
        if self._session is not None:
            with translated_outages():
                await self._session.flush()

    async def finish(self) -> None:
        """See LibraryHandle."""
        if self._session is not None:
            with translated_outages():
                await self._session.commit()
                await self._session.close()
        self._guard.stands = False

    async def abandon(self) -> None:
        """See LibraryHandle."""
        if self._session is not None:
            with suppress(SQLAlchemyError, OSError):
                await self._session.close()
        self._guard.stands = False
