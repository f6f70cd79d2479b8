"""Stripe's catalogue, as whoever keeps it needs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ..domain.catalogue import ListedProduct
from .kinds import Io


class CatalogueGateway(Protocol):
    """Products and prices at Stripe.

    - Raises what `Gateway` raises: StripeUnavailable when it is worth trying again, StripeObjectMissing for an id that
      Stripe does not know, StripeError with Stripe's code for any other refusal. Nothing else.
    - `listed` gives all active prices of the product, however many there are, and reads its own writes.
    - What writes sends the idempotency key it is given: trying again with the same key and parameters changes nothing
      more and gives the first answer; with other parameters it is refused with code `idempotency_error`.
    - Parameters are Stripe's own: amounts in minor units, `""` unsets.
    """

    @property
    def io(self) -> Io:
        """Whether its methods block the thread or suspend on the loop."""
        ...

    async def listed(self, product_id: str) -> ListedProduct | None:
        """The product with its active prices, or None for one that Stripe does not have. Two requests at most."""
        ...

    async def create_product(self, params: Mapping[str, Any], *, idempotency_key: str) -> None:
        """Make a product; with code `resource_already_exists` where its id is taken."""
        ...

    async def update_product(self, product_id: str, params: Mapping[str, Any], *, idempotency_key: str) -> None:
        """Change a product."""
        ...

    async def create_price(self, params: Mapping[str, Any], *, idempotency_key: str) -> str:
        """Make a price; its id."""
        ...

    async def update_price(self, price_id: str, params: Mapping[str, Any], *, idempotency_key: str) -> None:
        """Change a price."""
        ...

    async def close(self) -> None:
        """Give back every connection."""
        ...
