"""Comparing a caller's prices with the catalogue."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from ..domain.cart import Cart
from ..domain.pricing import PriceClaim, PricePolicy, claims_of, confirm, require_product_ids, verify_claims
from ..errors import Discrepancy, PriceVerificationError
from ..ports import Gateway


@frozen
class Prices:
    """Price verification. `policy` is the deployment's: `catalog` or `declared`."""

    gateway: Gateway
    policy: PricePolicy

    async def verify(self, claims: Sequence[PriceClaim]) -> tuple[Discrepancy, ...]:
        """The lines whose price is not the catalogue's. Raises UnknownProduct for what is not for sale."""
        wanted = tuple(dict.fromkeys(claim.product_id for claim in claims))
        return verify_claims(claims, await self.gateway.catalogue(wanted))

    async def confirm(self, cart: Cart) -> Cart:
        """The cart with the catalogue's Stripe Price on every line that names a product.

        Raises ProductIdRequired, UnknownProduct or PriceVerificationError.
        """
        require_product_ids(cart, self.policy)
        wanted = tuple(dict.fromkeys(str(line.product_id) for _, line in claims_of(cart)))
        if not wanted:
            return cart
        confirmed, differing = confirm(cart, await self.gateway.catalogue(wanted))
        if differing:
            raise PriceVerificationError(differing)
        return confirmed
