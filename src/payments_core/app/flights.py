"""Single flight: callers in this process who want the same price at the same time ask Stripe for it once."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from copy import copy
from typing import Final, TypeAlias
from weakref import WeakKeyDictionary, WeakSet

from attrs import field, frozen

from payments_core.domain.pricing import CatalogPrice
from payments_core.ports import Io

Name: TypeAlias = tuple[str | None, str]

#: Longer than any look-up in Stripe's catalogue takes: whoever still says nothing then is gone.
PATIENCE_S: Final = 120.0


@frozen
class Told:
    """What came of asking for one reference: the price, None where Stripe knows none, or the error."""

    price: CatalogPrice | None = None
    error: Exception | None = None
    given_up: bool = False


def sorted_out(told: Mapping[str, Told]) -> tuple[dict[str, CatalogPrice], list[str]]:
    """The prices, and the references that were given up. Raises the first error."""
    failed = next((one.error for one in told.values() if one.error is not None), None)
    if failed is not None:
        raise _another(failed)
    prices = {name: one.price for name, one in told.items() if one.price is not None}
    return prices, [name for name, one in told.items() if one.given_up]


def _another(error: Exception) -> Exception:
    """The same news for another caller: one exception raised in many places would gather all their frames."""
    try:
        return copy(error)
    except Exception:  # noqa: BLE001 - of a class that cannot be copied, as none of ours is
        return error


def _news(mine: Sequence[str], prices: Mapping[str, CatalogPrice]) -> dict[str, Told]:
    return {name: Told(prices.get(name)) for name in mine}


def _failed(error: Exception | None) -> Told:
    # A copy, without the frames of the one who asked: they lead back to whoever keeps this.
    return Told(given_up=True) if error is None else Told(error=_another(error))


class ThreadFlights:
    """`payments_core.ports.Flights` among threads."""

    io: Io = "blocking"

    def __init__(self) -> None:
        self.start_anew()
        _FLIGHTS.add(self)

    def start_anew(self) -> None:
        """With nobody asking."""
        self._lock = threading.Lock()
        self._flying: dict[Name, Future[Told]] = {}

    def board(self, generation: str | None, references: Sequence[str]) -> ThreadBoarding:
        """See Flights."""
        with self._lock:
            names = {one: (generation, one) for one in dict.fromkeys(references)}
            theirs = {one: self._flying[name] for one, name in names.items() if name in self._flying}
            mine = {one: Future[Told]() for one in names if one not in theirs}
            self._flying.update({names[one]: future for one, future in mine.items()})
        return ThreadBoarding(self, generation, mine, theirs)

    def landed(self, generation: str | None, told: Mapping[str, Told]) -> None:
        """Nobody asks for these any more."""
        with self._lock:
            futures = [(self._flying.pop((generation, one), None), news) for one, news in told.items()]
        for future, news in futures:
            if future is not None:
                future.set_result(news)

    def awaited(self, name: Name, future: Future[Told]) -> Told:
        """What came of it; after a long silence somebody else may ask."""
        try:
            return future.result(PATIENCE_S)
        except Late:
            with self._lock:
                if self._flying.get(name) is future:
                    del self._flying[name]
            return Told(given_up=True)


def after_fork_in_child() -> None:
    """Before any thread of the child can ask: those who were asking are in the parent alone, and may hold the lock."""
    for flights in list(_FLIGHTS):
        flights.start_anew()


_FLIGHTS: WeakSet[ThreadFlights] = WeakSet()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=after_fork_in_child)


@frozen
class ThreadBoarding:
    """See `payments_core.ports.Boarding`."""

    _flights: ThreadFlights
    _generation: str | None
    _mine: Mapping[str, Future[Told]] = field(repr=False)
    _theirs: Mapping[str, Future[Told]] = field(repr=False)

    @property
    def mine(self) -> Sequence[str]:
        """See Boarding."""
        return tuple(self._mine)

    def land(self, prices: Mapping[str, CatalogPrice]) -> None:
        """See Boarding."""
        self._flights.landed(self._generation, _news(self.mine, prices))

    def fail(self, error: Exception | None) -> None:
        """See Boarding."""
        self._flights.landed(self._generation, dict.fromkeys(self.mine, _failed(error)))

    async def joined(self) -> tuple[Mapping[str, CatalogPrice], Sequence[str]]:
        """See Boarding."""
        waiting = self._theirs.items()
        return sorted_out({one: self._flights.awaited((self._generation, one), future) for one, future in waiting})


class LoopFlights:
    """`payments_core.ports.Flights` among the tasks of a loop; each loop has its own."""

    io: Io = "async"

    def __init__(self) -> None:
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Name, asyncio.Future[Told]]] = (
            WeakKeyDictionary()
        )

    def board(self, generation: str | None, references: Sequence[str]) -> LoopBoarding:
        """See Flights."""
        loop = asyncio.get_running_loop()
        flying = self._loops.setdefault(loop, {})
        names = {one: (generation, one) for one in dict.fromkeys(references)}
        theirs = {one: flying[name] for one, name in names.items() if name in flying}
        mine = [one for one in names if one not in theirs]
        flying.update({names[one]: loop.create_future() for one in mine})
        return LoopBoarding(flying, generation, mine, theirs)


@frozen
class LoopBoarding:
    """See `payments_core.ports.Boarding`."""

    _flying: dict[Name, asyncio.Future[Told]] = field(repr=False)
    _generation: str | None
    mine: Sequence[str]
    _theirs: Mapping[str, asyncio.Future[Told]] = field(repr=False)

    def land(self, prices: Mapping[str, CatalogPrice]) -> None:
        """See Boarding."""
        self._tell(_news(self.mine, prices))

    def fail(self, error: Exception | None) -> None:
        """See Boarding."""
        self._tell(dict.fromkeys(self.mine, _failed(error)))

    async def joined(self) -> tuple[Mapping[str, CatalogPrice], Sequence[str]]:
        """See Boarding. One who is cancelled here takes nothing from the others."""
        if self._theirs:
            await asyncio.wait(self._theirs.values(), timeout=PATIENCE_S)
        return sorted_out({one: self._outcome(one, future) for one, future in self._theirs.items()})

    def _outcome(self, one: str, future: asyncio.Future[Told]) -> Told:
        if future.done():
            return future.result()
        if self._flying.get((self._generation, one)) is future:
            del self._flying[self._generation, one]
        return Told(given_up=True)

    def _tell(self, told: Mapping[str, Told]) -> None:
        for one, news in told.items():
            future = self._flying.pop((self._generation, one), None)
            if future is not None and not future.done():
                future.set_result(news)
