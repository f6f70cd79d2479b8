"""Comparing a caller's prices with the catalogue."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from ..domain import card_numbers
from ..domain.cart import Cart
from ..domain.pricing import PriceClaim, PricePolicy, claims_of, confirm, require_product_ids, verify_claims
from ..domain.stripe_objects import Session
from ..errors import Discrepancy, PriceVerificationError, StripeError, StripeUnavailable, UnknownProduct
from .price_book import PriceBook


@frozen
class Prices:
    """Price verification. `policy` is the deployment's: `catalog` or `declared`."""

    book: PriceBook
    policy: PricePolicy

    async def verify(self, claims: Sequence[PriceClaim]) -> tuple[Discrepancy, ...]:
        """The lines whose price is not the catalogue's.

        Raises UnknownProduct for what is not for sale, InvalidRequest for what looks like a card number.
        """
        card_numbers.check_claims(claims)
        wanted = tuple(dict.fromkeys(claim.product_id for claim in claims))
        return verify_claims(claims, await self.book.prices(wanted))

    async def confirm(self, cart: Cart) -> Cart:
        """The cart with the catalogue's Stripe Price on every line that names a product.

        Raises ProductIdRequired, UnknownProduct or PriceVerificationError.
        """
        require_product_ids(cart, self.policy)
        confirmed, differing = confirm(cart, await self.book.prices(_named(cart)))
        if differing:
            raise PriceVerificationError(differing)
        return confirmed

    async def doubt(self, cart: Cart, refusal: StripeError) -> None:
        """Compare a confirmed cart that Stripe refused with Stripe's catalogue as it is now.

        A price may have been archived since it was remembered. Raises UnknownProduct or PriceVerificationError where
        that is so; else the refusal has another cause.
        """
        is_of_a_line = (refusal.param or "").startswith("line_items") and not isinstance(refusal, StripeUnavailable)
        if is_of_a_line and _names_prices(cart):
            await self._compare_anew(cart)

    async def check_opened(self, cart: Cart, session: Session) -> None:
        """Compare the session that Stripe opened with the confirmed cart.

        An amount of a price in another currency may be changed at Stripe at any time. Raises PriceVerificationError, or
        StripeError where the difference cannot be explained: such a session is not handed out.
        """
        told = (session.amount_subtotal, session.currency)
        if not _names_prices(cart) or None in told or told == (cart.subtotal.minor, cart.currency):
            return
        await self._compare_anew(cart)
        raise StripeError(
            "The session that Stripe opened has another subtotal than the cart that was agreed; it was not handed out."
        )

    async def _compare_anew(self, cart: Cart) -> None:
        now = await self.book.gateway.catalogue(_named(cart))
        try:
            _, differing = confirm(cart, now)
        except UnknownProduct:
            await self.book.forget()
            raise
        if differing:
            await self.book.forget()
            raise PriceVerificationError(differing)


def _named(cart: Cart) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(line.product_id) for _, line in claims_of(cart)))


def _names_prices(cart: Cart) -> bool:
    return any(line.price_id is not None for line in cart.lines)
