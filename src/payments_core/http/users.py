"""Who is signed in, by what the host's own code says of a request."""

from __future__ import annotations

import inspect
from collections.abc import Coroutine

from payments_core.errors import ConfigurationError


def user_of(given: object) -> str | None:
    """The user's id as text, from what the host's `user_id` gave; None for nobody, whom hosts also call "".

    Raises ConfigurationError for an awaitable, which nobody has run: as text it would be a user of its own, and the
    next request's might be the same one.
    """
    if inspect.isawaitable(given):
        if isinstance(given, Coroutine):
            given.close()
        raise ConfigurationError("user_id= gave an awaitable, which nothing runs here; let it return the id itself.")
    return None if given is None else str(given) or None
