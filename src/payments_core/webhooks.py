"""The webhook dispatcher alone: for any framework or none, with no database and no other part of the library.

It checks the signature, reads the event and calls handlers in the order of their registration. It keeps no memory: an
event that is delivered twice is dispatched twice, unless a `store` remembers which were handled. Even then a crash
between a handler and the store's note means another run: Stripe delivers at least once, so handlers that have effects
either make them idempotent by `event.id`, or belong on `Payments`, whose inbox commits with what they write.

```python
dispatcher = WebhookDispatcher(secrets=["whsec_…"])

@dispatcher.on("payment_intent.payment_failed")
def failed(event): ...

dispatcher.dispatch(body, signature_header)
```
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from attrs import frozen

from .domain.events import StripeEvent
from .domain.signature import TOLERANCE_S, check_signature
from .domain.stripe_event import read_event
from .errors import ConfigurationError, FlowSuspendedError, InvalidSignature, MalformedEvent
from .services.handlers import DOMAIN_PREFIXES, refuse_generator, refuse_yielding
from .settings import checked_webhook_secrets

H = TypeVar("H", bound=Callable[..., Any])
Now = Callable[[], datetime]

__all__ = [
    "AsyncWebhookDispatcher",
    "Dispatched",
    "HandledEvents",
    "InvalidSignature",
    "MalformedEvent",
    "StripeEvent",
    "WebhookDispatcher",
]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class HandledEvents(Protocol):
    """Which events were handled, for a dispatcher that is to know. Ids are Stripe's; keep them 30 days and more.

    For AsyncWebhookDispatcher both methods may be coroutine functions.
    """

    def is_handled(self, event_id: str) -> bool | Awaitable[bool]:
        """Whether all handlers of this event ran to their end before."""
        ...

    def mark_handled(self, event_id: str) -> Awaitable[None] | None:
        """All handlers of this event have run to their end."""
        ...


@frozen
class Dispatched:
    """What became of a delivery.

    `handlers` is how many ran: 0 for a type nobody registered, and for a `duplicate` that the store knew.
    """

    event: StripeEvent
    handlers: int
    duplicate: bool = False

    @property
    def handled(self) -> bool:
        """Whether any handler ran."""
        return self.handlers > 0


class _Dispatcher:
    """What both worlds share: secrets, registration, verification."""

    def __init__(
        self,
        secrets: Sequence[str],
        *,
        store: HandledEvents | None = None,
        tolerance_s: int = TOLERANCE_S,
        now: Now = _utc_now,
    ) -> None:
        if isinstance(secrets, str):
            raise ConfigurationError("secrets is a list of signing secrets: secrets=['whsec_…'].")
        if tolerance_s < 1:
            raise ConfigurationError("tolerance_s must be at least 1: without it a recorded webhook could be replayed.")
        self._secrets = checked_webhook_secrets(secrets)
        self._store = store
        self._tolerance_s = tolerance_s
        self._now = now
        self._handlers: dict[str, list[Callable[..., Any]]] = {}

    def on(self, event_type: str) -> Callable[[H], H]:
        """A decorator that registers a handler for a Stripe event type, or for `*`, every type.

        Raises ConfigurationError for anything else, and for a handler that cannot be run.
        """
        _check_type(event_type)

        def register(handler: H) -> H:
            refuse_yielding(handler)
            self._check(handler)
            self._handlers.setdefault(event_type, []).append(handler)
            return handler

        return register

    def _check(self, handler: Callable[..., Any]) -> None:
        """Refuse a handler that this dispatcher cannot run."""

    def _verified(self, body: bytes | str, signature: str | None) -> tuple[StripeEvent, list[Callable[..., Any]]]:
        raw = body.encode() if isinstance(body, str) else bytes(body)
        check_signature(
            raw, signature, self._secrets, now_s=int(self._now().timestamp()), tolerance_s=self._tolerance_s
        )
        event = read_event(raw)
        return event, [*self._handlers.get(event.type, ()), *self._handlers.get("*", ())]


class WebhookDispatcher(_Dispatcher):
    """Dispatches on the caller's thread."""

    def dispatch(self, body: bytes | str, signature: str | None) -> Dispatched:
        """Verify, read and hand the event to its handlers; what was done.

        `body` is the raw request body, `signature` the `Stripe-Signature` header. Raises InvalidSignature,
        MalformedEvent, or the first handler's own error, after which no further handler runs.
        """
        event, handlers = self._verified(body, signature)
        if self._store is not None and _plain(self._store.is_handled(event.id), self._store):
            return Dispatched(event, 0, duplicate=True)
        for handler in handlers:
            refuse_generator(_plain(handler(event), handler), handler)
        if self._store is not None:
            _plain(self._store.mark_handled(event.id), self._store)
        return Dispatched(event, len(handlers))

    def _check(self, handler: Callable[..., Any]) -> None:
        called: object = getattr(handler, "__call__", None)  # noqa: B004 - the method itself is looked at
        if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(called):
            raise ConfigurationError(
                f"{_name(handler)} is an async function; use AsyncWebhookDispatcher, or make it a plain one."
            )


class AsyncWebhookDispatcher(_Dispatcher):
    """Dispatches on the running event loop, where plain handlers run too: keep them short."""

    async def dispatch(self, body: bytes | str, signature: str | None) -> Dispatched:
        """As `WebhookDispatcher.dispatch`, awaited."""
        event, handlers = self._verified(body, signature)
        if self._store is not None and await _awaited(self._store.is_handled(event.id)):
            return Dispatched(event, 0, duplicate=True)
        for handler in handlers:
            refuse_generator(await _awaited(handler(event)), handler)
        if self._store is not None:
            await _awaited(self._store.mark_handled(event.id))
        return Dispatched(event, len(handlers))


def _check_type(event_type: object) -> None:
    # Of any type: a decorator without its parentheses is given the function.
    if isinstance(event_type, str) and event_type and not event_type.startswith(DOMAIN_PREFIXES):
        return
    told = repr(event_type) if isinstance(event_type, str) else _name(event_type)
    raise ConfigurationError(
        f'{told} is no Stripe event type; write @dispatcher.on("...") with one such as charge.refunded, or with "*". '
        "Domain events are for Payments."
    )


def _plain(result: object, called: object) -> object:
    """The result of something plain; an awaitable is an error, since nothing here would run it."""
    if not inspect.isawaitable(result):
        return result
    if isinstance(result, Coroutine):
        result.close()
    raise FlowSuspendedError(f"{_name(called)} returned an awaitable, and nothing ran it; use AsyncWebhookDispatcher.")


async def _awaited(result: object) -> object:
    return await result if inspect.isawaitable(result) else result


def _name(called: object) -> str:
    return str(getattr(called, "__qualname__", type(called).__qualname__))
