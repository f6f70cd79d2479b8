"""Walking a list of Stripe's from its old end, a page at a time.

Stripe lists the newest first and has no cursor for "the oldest since". A walk that wants to remember how far it came
must begin with the oldest, so the window is cut into slices of time, each so short that one page holds it. `Slicing`
decides how long the next slice is: halved when a page overflows, longer again where little happened.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

from attrs import evolve, frozen

T_co = TypeVar("T_co", covariant=True)

#: A slice aims below a full page, since the next one may be denser.
_AIM: Final = 75
_GROWTH: Final = 8
_MOST_CUTS: Final = 3


@frozen
class Span:
    """Whole Unix seconds from `since_s` up to, and without, `until_s`."""

    since_s: int
    until_s: int


@frozen
class Page(Generic[T_co]):
    """One page of a list, the newest first.

    `last_id` continues it. `oldest_s` is when its last object was created, None where that is not said.
    """

    items: tuple[T_co, ...] = ()
    has_more: bool = False
    last_id: str | None = None
    oldest_s: int | None = None


@frozen
class Slicing:
    """Where a walk stands: the next slice begins at `at_s` and is `length_s` long."""

    at_s: int
    length_s: int
    until_s: int
    cuts: int = 0

    @classmethod
    def of(cls, span: Span) -> Slicing:
        """At the beginning; the first slice is the whole span."""
        return cls(span.since_s, max(1, span.until_s - span.since_s), span.until_s)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left."""
        return self.at_s >= self.until_s

    @property
    def is_narrowest(self) -> bool:
        """Whether it cannot be cut any further: Stripe's times are whole seconds."""
        return self.length_s <= 1

    @property
    def span(self) -> Span:
        """The next slice."""
        return Span(self.at_s, min(self.at_s + self.length_s, self.until_s))

    def narrowed(self, oldest_s: int | None) -> Slicing:
        """The same beginning and a shorter slice: its first page overflowed, and reached back to `oldest_s`.

        What lies before that is tried a few times: much may have happened at once after a quiet time. Then halves.
        """
        if self.cuts < _MOST_CUTS and oldest_s is not None and oldest_s > self.at_s:
            return evolve(self, length_s=oldest_s - self.at_s, cuts=self.cuts + 1)
        return evolve(self, length_s=max(1, (self.span.until_s - self.at_s) // 2))

    def taken(self, count: int) -> Slicing:
        """What comes after the slice, in which `count` objects were."""
        length_s = self.length_s * _GROWTH
        if count:
            length_s = min(length_s, self.length_s * _AIM // count)
        return evolve(self, at_s=self.span.until_s, length_s=max(1, length_s), cuts=0)
