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

from sqlalchemy import Connection, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from payments_core.adapters.sql.faults import translated_outages
from payments_core.errors import ConfigurationError

#: A Session or AsyncSession class or sessionmaker of the developer's own.
SessionFactory: TypeAlias = Callable[..., Any]

_JOINED: Final[dict[str, Any]] = {"join_transaction_mode": "create_savepoint", "expire_on_commit": False}


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
        """Send what is pending in the session; a constraint that it breaks raises what SQLAlchemy raises."""
        ...

    async def finish(self) -> None:
        """Commit the session's savepoint and let the library end the transaction."""
        ...

    async def abandon(self) -> None:
        """Drop the session with what is pending and let the library end the transaction."""
        ...


class BlockingHandle:
    """A `Session` on a `Connection`."""

    def __init__(self, connection: Connection, factory: SessionFactory | None) -> None:
        self._connection = connection
        self._factory = factory or Session
        self._session: Any = None
        self._guard = _Guard(connection)

    @property
    def session(self) -> Any:
        """The session, made on first use."""
        if self._session is None:
            self._guard.stand()
            self._session = self._factory(bind=self._connection, **_JOINED)
        return self._session

    @property
    def connection(self) -> Any:
        """The connection."""
        self._guard.stand()
        return self._connection

    async def flush(self) -> None:
        """See LibraryHandle."""
        if self._session is not None:
            with translated_outages():
                self._session.flush()

    async def finish(self) -> None:
        """See LibraryHandle."""
        if self._session is not None:
            with translated_outages():
                self._session.commit()
                self._session.close()
        self._guard.leave()

    async def abandon(self) -> None:
        """See LibraryHandle."""
        if self._session is not None:
            with suppress(SQLAlchemyError, OSError):
                self._session.close()
        self._guard.leave()


class AsyncHandle:
    """An `AsyncSession` on an `AsyncConnection`."""

    def __init__(self, connection: AsyncConnection, factory: SessionFactory | None) -> None:
        self._connection = connection
        self._factory = factory or AsyncSession
        self._session: Any = None
        self._guard = _Guard(connection.sync_connection)

    @property
    def session(self) -> Any:
        """The session, made on first use."""
        if self._session is None:
            self._guard.stand()
            self._session = self._factory(bind=self._connection, **_JOINED)
        return self._session

    @property
    def connection(self) -> Any:
        """The connection."""
        self._guard.stand()
        return self._connection

    async def flush(self) -> None:
        """See LibraryHandle."""
        if self._session is not None:
            with translated_outages():
                await self._session.flush()

    async def finish(self) -> None:
        """See LibraryHandle."""
        if self._session is not None:
            with translated_outages():
                await self._session.commit()
                await self._session.close()
        self._guard.leave()

    async def abandon(self) -> None:
        """See LibraryHandle."""
        if self._session is not None:
            with suppress(SQLAlchemyError, OSError):
                await self._session.close()
        self._guard.leave()


class _Guard:
    """Keeps a handler from ending the library's transaction by `connection.commit()` or `connection.rollback()`."""

    def __init__(self, connection: Connection | None) -> None:
        self._connection = connection
        self._standing = False

    def stand(self) -> None:
        """Refuse from now on; the listeners go with the connection object, which serves one transaction."""
        if not self._standing and self._connection is not None:
            self._standing = True
            event.listen(self._connection, "commit", self._refuse)
            event.listen(self._connection, "rollback", self._refuse)

    def leave(self) -> None:
        """Let the library end its transaction."""
        if self._standing and self._connection is not None:
            self._standing = False
            event.remove(self._connection, "commit", self._refuse)
            event.remove(self._connection, "rollback", self._refuse)

    def _refuse(self, _: Connection) -> None:
        raise ConfigurationError(
            "A handler may not commit or roll back tx.connection: the event's own record is in that transaction. Raise "
            "to undo everything, or use tx.session, whose commit and rollback end a savepoint."
        )
