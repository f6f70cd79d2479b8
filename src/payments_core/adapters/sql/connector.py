"""The seam between the two worlds: every method of the store is written once, over what stands here.

`Link` is an open transaction; `Connector` opens one. The blocking pair works on SQLAlchemy's `Connection` and never
suspends, so that a whole flow runs under `payments_core.drive.run_blocking`; the async pair awaits `AsyncConnection`.
Both give the same buffered results, and both raise StoreUnavailable for whatever goes wrong with the database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeAlias, TypeVar

from sqlalchemy import CursorResult, Executable, Row
from sqlalchemy.engine import URL

from payments_core.adapters.sql.faults import translated
from payments_core.adapters.sql.handle import LibraryHandle
from payments_core.adapters.sql.intake import Row as Received
from payments_core.adapters.sql.prepared import Prepared
from payments_core.ports import Io

Parameters: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
T = TypeVar("T")


class Link(Protocol):
    """An open transaction. Results are buffered: reading them needs no waiting."""

    @property
    def handle(self) -> LibraryHandle:
        """What a developer's handler is given of this transaction."""
        ...

    async def execute(self, statement: Executable, parameters: Parameters = None) -> CursorResult[Any]:
        """Run a statement of the library's own, with errors as SQLAlchemy raises them."""
        ...

    async def fetch_one(self, statement: Prepared, parameters: Mapping[str, Any]) -> Sequence[Any] | None:
        """Run a prepared statement on PostgreSQL's driver; the first row, or None. Raises StoreUnavailable."""
        ...

    async def fetch_all(self, statement: Prepared, parameters: Mapping[str, Any]) -> Sequence[Any]:
        """As `fetch_one`, all rows, their columns by name as the driver reads them. Raises StoreUnavailable."""
        ...


class Connector(Protocol):
    """Opens transactions in one world."""

    @property
    def io(self) -> Io:
        """Which world it serves."""
        ...

    @property
    def url(self) -> URL:
        """Where the database is."""
        ...

    @property
    def connections(self) -> int:
        """How many it keeps or opens at most."""
        ...

    def transaction(self, *, writes: bool = True) -> AbstractAsyncContextManager[Link]:
        """A transaction that commits when the block ends and rolls back when it raises."""
        ...

    async def receive(self, row: Received) -> bool:
        """Insert a received event, grouped with what comes in at the same time; whether it is new.

        On disk when it returns. Raises StoreUnavailable.
        """
        ...

    async def offload(self, work: Callable[[], T]) -> T:
        """Run blocking work without blocking an event loop."""
        ...

    def open(self) -> None:
        """Allow connections again after `close`."""
        ...

    async def close(self) -> None:
        """Give back every connection of this process; none is made until `open`."""
        ...


async def rows(link: Link, statement: Executable, parameters: Parameters = None) -> Sequence[Row[Any]]:
    """All rows of a statement."""
    with translated():
        return (await link.execute(statement, parameters)).all()


async def one(link: Link, statement: Executable, parameters: Parameters = None) -> Row[Any] | None:
    """The first row, or None."""
    with translated():
        return (await link.execute(statement, parameters)).first()


async def changed(link: Link, statement: Executable, parameters: Parameters = None) -> int:
    """How many rows a statement changed."""
    with translated():
        return (await link.execute(statement, parameters)).rowcount
