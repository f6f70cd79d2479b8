"""What runs the work: the developer's handlers, and the worker around them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar, runtime_checkable

from .kinds import Handler

T = TypeVar("T")


@runtime_checkable
class Invoker(Protocol):
    """Runs a developer's handler in the world it belongs to.

    - `check` refuses, at registration, a handler the world cannot run (ConfigurationError).
    - `call` passes the handler's own exception through, unchanged, but for a CancelledError that no cancellation of
      the caller's has brought: that is raised as an Exception, since it says nothing of the caller.
    """

    def check(self, handler: Handler, *, wants_tx: bool) -> None:
        """Raise ConfigurationError for a handler that cannot run here."""
        ...

    def call(self, handler: Handler, *arguments: object) -> Awaitable[None]:
        """Run the handler to its end."""
        ...


class Waiter(Protocol):
    """Lets a flow wait for background work without owning a clock or a loop.

    - `nudge` tells the runner that work has arrived; it never blocks and never fails.
    - `pause` lets at most `seconds` pass.
    - `monotonic_s` only ever grows.
    """

    def nudge(self) -> None:
        """Work has arrived."""
        ...

    async def pause(self, seconds: float) -> None:
        """Wait."""
        ...

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back."""
        ...


class Crew(Waiter, Protocol):
    """Works through what a claim leased, as its world can.

    - `each` runs `work` on every item and returns when all have ended: `hands` at once, as threads or as tasks on a
      loop. One that raises does not keep the others from ending; the first error is raised then.
    - `is_leaving` becomes true when the process is to stop: what has not begun by then is given back.
    """

    @property
    def is_leaving(self) -> bool:
        """Whether the process is about to stop."""
        ...

    async def each(self, items: Sequence[T], work: Callable[[T], Awaitable[object]], *, hands: int) -> None:
        """Work on every item."""
        ...
