"""`CatalogueGateway` over Stripe's API: what keeps products and prices as the shop says.

Routes follow https://docs.stripe.com/api/products and https://docs.stripe.com/api/prices.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from payments_core.adapters.stripe.calls import Calls, all_pages, identified, is_id
from payments_core.domain.catalogue import ListedProduct
from payments_core.domain.price_objects import listed_product
from payments_core.errors import StripeObjectMissing

PRICES: Final = "/v1/prices"
PRODUCTS: Final = "/v1/products"


class CatalogueKeeping:
    """Reads and writes products and prices; see `payments_core.ports.catalogue.CatalogueGateway`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def listed(self, product_id: str) -> ListedProduct | None:
        """`GET /v1/products/{id}` and `GET /v1/prices?product=&active=true`, all pages."""
        if not is_id(product_id):
            return None
        try:
            path = f"{PRODUCTS}/{product_id}"
            product = identified(await self._calls.send("get", path, {}), path)
            if product.get("deleted") is True:
                return None
            prices = await all_pages(self._calls, PRICES, {"product": product_id, "active": True})
        except StripeObjectMissing:
            return None
        return listed_product(product, prices)

    async def create_product(self, params: Mapping[str, Any], *, idempotency_key: str) -> None:
        """`POST /v1/products`."""
        await self._calls.send("post", PRODUCTS, params, idempotency_key=idempotency_key)

    async def update_product(self, product_id: str, params: Mapping[str, Any], *, idempotency_key: str) -> None:
        """`POST /v1/products/{id}`."""
        await self._calls.send("post", f"{PRODUCTS}/{product_id}", params, idempotency_key=idempotency_key)

    async def create_price(self, params: Mapping[str, Any], *, idempotency_key: str) -> str:
        """`POST /v1/prices`."""
        made = await self._calls.send("post", PRICES, params, idempotency_key=idempotency_key)
        return str(identified(made, PRICES)["id"])

    async def update_price(self, price_id: str, params: Mapping[str, Any], *, idempotency_key: str) -> None:
        """`POST /v1/prices/{id}`."""
        await self._calls.send("post", f"{PRICES}/{price_id}", params, idempotency_key=idempotency_key)
