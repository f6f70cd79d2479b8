"""The account at Stripe, as whoever examines a deployment needs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..domain.account import Greeting, WebhookEndpoint
from .kinds import Io


class AccountGateway(Protocol):
    """Whether Stripe answers to this key, and whom it tells about events. Only reads.

    - Raises what `Gateway` raises: StripeUnavailable where there is no answer, or one that is worth another try;
      StripeError for a refusal, with the status of the answer in `answered`. Nothing else.
    - `greeting` does not raise for a refusal: that Stripe answers, when, and how it refuses is what is asked for.
    - `webhook_endpoints` come whole, those that are disabled too, and without their secrets.
    """

    @property
    def io(self) -> Io:
        """Whether its methods block the thread or suspend on the loop."""
        ...

    async def greeting(self) -> Greeting:
        """Ask for something small that every account has."""
        ...

    async def webhook_endpoints(self) -> Sequence[WebhookEndpoint]:
        """All webhook endpoints of the account in the key's mode."""
        ...

    async def close(self) -> None:
        """Give back every connection."""
        ...
