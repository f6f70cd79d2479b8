"""Catalogue prices remembered for a while, and callers who want the same ones at the same time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from attrs import field, frozen

from ..domain.pricing import CatalogPrice
from .kinds import Io


@frozen
class Kept:
    """A remembered price, and how long ago Stripe was asked for it."""

    price: CatalogPrice
    age_s: float


@frozen
class Remembered:
    """What a cache knows at one moment: `generation` says what it knew it in, None where it cannot say."""

    generation: str | None
    entries: Mapping[str, Kept] = field(factory=dict[str, Kept])


class PriceCache(Protocol):
    """Prices by product id, price id or lookup key, with the moment at which Stripe was asked.

    - It is never the truth. What it has lost, or cannot give in time, it does not know: no method raises for trouble of
      the cache's own, and none takes longer than a bounded time.
    - `forget` begins a new generation: nothing that was written before is read afterwards, in this process and in every
      other that shares the cache.
    - `write` is read back only in the generation it names. A price that was asked for before `forget` and arrives after
      it is therefore never read: give `write` the generation of the `read` that came before the question to Stripe.
    - An entry is gone `keep_s` seconds after it was written, and not sooner as long as there is room.
    - Two deployments that share a server share no entries.
    """

    @property
    def io(self) -> Io:
        """Whether its methods block the thread or suspend on the loop."""
        ...

    async def read(self, references: Sequence[str]) -> Remembered:
        """What is known of these references; unknown ones are left out."""
        ...

    async def write(self, generation: str | None, prices: Mapping[str, CatalogPrice]) -> None:
        """Remember prices that Stripe has just told, for the generation in which it was asked."""
        ...

    async def forget(self) -> None:
        """Know nothing any more."""
        ...

    async def lead(self, generation: str | None, references: Sequence[str]) -> bool:
        """Announce that the caller is about to ask Stripe for these; False after a short wait for one who was first.

        Only a courtesy towards Stripe: whoever reads again and finds nothing asks all the same.
        """
        ...

    async def close(self) -> None:
        """Give back every connection."""
        ...


class Boarding(Protocol):
    """A caller's part in what is being asked for: `mine` to ask for itself, the rest to wait for."""

    @property
    def mine(self) -> Sequence[str]:
        """The references that nobody else is asking for: the caller does, and tells by `land` or `fail`."""
        ...

    def land(self, prices: Mapping[str, CatalogPrice]) -> None:
        """Tell the others what Stripe said."""
        ...

    def fail(self, error: Exception | None) -> None:
        """Tell the others that asking failed; None: it was given up, and they ask for themselves."""
        ...

    async def joined(self) -> tuple[Mapping[str, CatalogPrice], Sequence[str]]:
        """What the others were told, and the references that they gave up. Raises the error they met."""
        ...


class Flights(Protocol):
    """Lets callers in one process ask for a price once, however many want it at the same time.

    - Of callers that overlap, each reference is one caller's to ask for, until that caller has told what came of it.
    - Only callers that saw the same generation share an answer: what was asked for before the catalogue changed is not
      given to those who came after.
    - A caller that goes away without a word keeps nobody waiting for ever.
    """

    @property
    def io(self) -> Io:
        """Whether waiting blocks the thread or suspends on the loop."""
        ...

    def board(self, generation: str | None, references: Sequence[str]) -> Boarding:
        """Divide these references between what the caller asks for and what others are asking for already."""
        ...
