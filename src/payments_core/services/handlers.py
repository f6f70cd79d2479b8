"""Who wants to be told of what."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Final, TypeVar

from attrs import field, frozen

from ..domain.events import DOMAIN_EVENTS, DomainEvent, StripeEvent
from ..errors import ConfigurationError
from ..ports import Handler, Invoker, Transaction

H = TypeVar("H", bound=Handler)

#: How the names of domain events begin; no event type of Stripe's does.
DOMAIN_PREFIXES: Final = ("payment.", "checkout.expired")

_DOMAIN_TYPES = {kind.type: kind for kind in DOMAIN_EVENTS}


@frozen
class Handlers:
    """The developer's handlers, by event type, in the order of registration.

    A key is a domain event class, its name (`payment.successful`) or a Stripe event type (`charge.refunded`). A handler
    takes the event, or the event and the transaction.
    """

    invoker: Invoker
    _by_type: dict[str, list[tuple[Handler, bool]]] = field(factory=dict, init=False)

    def on(self, event: type[DomainEvent] | str) -> Callable[[H], H]:
        """A decorator that registers a handler. Raises ConfigurationError for one that cannot be run."""
        key = _key(event)

        def register(handler: H) -> H:
            refuse_yielding(handler)
            wants_tx = wants_transaction(handler)
            self.invoker.check(handler, wants_tx=wants_tx)
            self._by_type.setdefault(key, []).append((handler, wants_tx))
            return handler

        return register

    @property
    def is_empty(self) -> bool:
        """Whether nobody registered for anything."""
        return not self._by_type

    def wants(self, event_type: str) -> bool:
        """Whether anybody registered for this type."""
        return event_type in self._by_type

    async def run(self, event: DomainEvent | StripeEvent, tx: Transaction) -> None:
        """Run every handler of the event in order; the first error ends it and passes through."""
        for handler, wants_tx in self._by_type.get(event.type, ()):
            await self.invoker.call(handler, *((event, tx) if wants_tx else (event,)))


def _key(event: object) -> str:
    # Of any type: a decorator without its parentheses is given the function.
    if isinstance(event, str):
        if not event or (event.startswith(DOMAIN_PREFIXES) and event not in _DOMAIN_TYPES):
            raise ConfigurationError(
                f"There is no domain event {event!r}; register for one of {', '.join(_DOMAIN_TYPES)} or for a Stripe "
                "event type such as charge.refunded."
            )
        return event
    name = getattr(event, "__name__", "This")
    if not (isinstance(event, type) and issubclass(event, DomainEvent)):
        raise ConfigurationError(f"{name} is no event; write @payments.on(PaymentSuccessful) above {name}.")
    if not event.type:
        raise ConfigurationError(f"{name} is no event that happens; register for PaymentSuccessful or the like.")
    return event.type


def wants_transaction(handler: Handler) -> bool:
    """Whether the handler takes the transaction as its second argument."""
    name = getattr(handler, "__qualname__", repr(handler))
    try:
        signature = inspect.signature(handler)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{name} cannot be a handler: it has no signature to be called by.") from None
    for arguments, wants in ((("event", "tx"), True), (("event",), False)):
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        return wants
    raise ConfigurationError(f"{name} cannot be a handler: it must take the event, or the event and the transaction.")


def refuse_yielding(handler: Callable[..., object]) -> None:
    """Raise ConfigurationError for a generator function, or an object called like one: a call runs nothing of it."""
    for called in (handler, getattr(handler, "__call__", None)):  # noqa: B004 - the method itself is looked at
        if inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called):
            raise ConfigurationError(f"{_name(handler)} yields, and would never run: take the yield out.")


def refuse_generator(result: object, handler: object) -> None:
    """Raise ConfigurationError for a generator that a handler returned: nothing of it has run."""
    if inspect.isgenerator(result) or inspect.isasyncgen(result):
        raise ConfigurationError(f"{_name(handler)} returned a generator, and nothing ran it.")


def _name(handler: object) -> str:
    return str(getattr(handler, "__qualname__", type(handler).__qualname__))
