"""Who wants to be told of which published event, as a `MessageHandler` of the consumer's loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from ..app.invokers import AsyncInvoker, BlockingInvoker, is_coroutine_function
from ..domain.consumption import Message, read_envelope
from ..errors import ConfigurationError, MalformedEvent, UnknownEvent
from ..ports import Handler, Io, Transaction
from ..published import PublishedEvent, parse_published
from ..published.models import PUBLISHED
from ..services.handlers import refuse_yielding, wants_transaction

H = TypeVar("H", bound=Handler)

_TYPE_OF: Final = {model: name for name, model in PUBLISHED.items()}


class PublishedHandlers:
    """`payments_core.ports.consuming.MessageHandler` over handlers of one world: all coroutine functions, or none."""

    def __init__(self) -> None:
        self._by_type: dict[str, list[tuple[Handler, bool]]] = {}
        self._is_async: bool | None = None

    @property
    def io(self) -> Io:
        """The world of the handlers."""
        return "async" if self._is_async else "blocking"

    @property
    def types(self) -> frozenset[str]:
        """The event types that anybody registered for."""
        return frozenset(self._by_type)

    @property
    def works_outside(self) -> bool:
        """See MessageHandler: all work is in the transaction."""
        return False

    def on(self, event: type[PublishedEvent] | str) -> Callable[[H], H]:
        """A decorator that registers a handler. Raises ConfigurationError for one that cannot be run."""
        key = _key(event)

        def register(handler: H) -> H:
            refuse_yielding(handler)
            wants_tx = wants_transaction(handler)
            self._join_world(handler)
            self._by_type.setdefault(key, []).append((handler, wants_tx))
            return handler

        return register

    def read(self, message: Message) -> PublishedEvent | None:
        """See MessageHandler."""
        named = read_envelope(message).get("eventType")
        if not isinstance(named, str):
            raise MalformedEvent("The message has no eventType.")
        if named not in self._by_type:
            return None
        try:
            return parse_published(message.body or b"")
        except UnknownEvent:
            return None

    async def outside(self, asked: Any, message: Message) -> None:
        """See MessageHandler: nothing."""

    async def inside(self, asked: Any, tx: Transaction) -> None:
        """See MessageHandler: every handler of the event, in the order of registration."""
        event: PublishedEvent = asked
        invoker = AsyncInvoker() if self._is_async else BlockingInvoker()
        for handler, wants_tx in self._by_type.get(event.event_type, ()):
            await invoker.call(handler, *((event, tx) if wants_tx else (event,)))

    def _join_world(self, handler: Handler) -> None:
        is_async = is_coroutine_function(handler)
        if self._is_async is not None and self._is_async is not is_async:
            name = getattr(handler, "__qualname__", type(handler).__qualname__)
            this, others = ("async", "plain functions") if is_async else ("a plain function", "async")
            raise ConfigurationError(
                f"{name} is {this}, and the handlers registered before it are {others}; all handlers of one consumer "
                "are in one transaction, so make them all async or all plain."
            )
        self._is_async = is_async


def _key(event: type[PublishedEvent] | str) -> str:
    name = event if isinstance(event, str) else _TYPE_OF.get(event)
    if name not in PUBLISHED:
        told = repr(event) if isinstance(event, str) else event.__qualname__
        raise ConfigurationError(
            f"No event {told} is published; register for one of {', '.join(PUBLISHED)}, or for its class of "
            "payments_core.published."
        )
    return name
