"""Payment intents, the cards that pay them, charges and refunds."""

from __future__ import annotations

from typing import Literal

from attrs import Factory, frozen

from ..errors import JsonObject
from .metadata import Metadata


@frozen
class IntentData:
    """What a session hands to the PaymentIntent that it makes later (`payment_intent_data`)."""

    metadata: Metadata = Factory(dict[str, str])
    description: str | None = None
    receipt_email: str | None = None
    statement_descriptor: str | None = None
    statement_descriptor_suffix: str | None = None
    shipping: JsonObject | None = None
    setup_future_usage: str | None = None
    capture_method: str = "automatic_async"


@frozen
class Buyer:
    """Who paid, as the payment page was told."""

    email: str | None
    name: str | None = None
    phone: str | None = None
    address: JsonObject | None = None


@frozen
class Card:
    """What may be remembered of a card."""

    brand: str
    last4: str
    exp_month: int
    exp_year: int
    cvc_check: str = "pass"
    funding: str = "credit"


DisputeKind = Literal["fraudulent", "product_not_received", "inquiry"]


@frozen
class Decline:
    """Why a charge failed. `decline_code` is the issuer's reason, absent where the code says it all.

    `blocked` is Stripe's own refusal: the issuer was never asked.
    """

    code: str
    message: str
    decline_code: str | None = None
    advice_code: str | None = None
    blocked: bool = False


@frozen
class Conduct:
    """How a test card or account behaves. The number decided it once; the number itself is not kept.

    `decline` refuses the charge; `challenge` asks the buyer for 3-D Secure first; `dispute` and `warned` (early fraud
    warning) come after the payment; `settles_in_s` makes the payment a delayed one that ends by itself after so many
    seconds (below zero never), refused then where there is a `decline`. A card that is declined cannot be attached to
    a customer either, unless it is `attachable`.
    """

    decline: Decline | None = None
    challenge: bool = False
    dispute: DisputeKind | None = None
    warned: bool = False
    settles_in_s: int | None = None
    attachable: bool = False


@frozen
class PaymentMethod:
    """Something to pay with, as it was entered for one attempt or made by the API. A `type` other than card has none.

    `details` is what the API shows of such another type, under its own name. A `detached` one was a customer's once.
    """

    id: str
    created: int
    card: Card | None
    buyer: Buyer
    conduct: Conduct = Factory(Conduct)
    type: str = "card"
    details: JsonObject | None = None
    customer: str | None = None
    metadata: Metadata = Factory(dict[str, str])
    allow_redisplay: str = "limited"
    detached: bool = False


@frozen
class Charge:
    """One attempt to take the money, failed ones too. A pending one waits for a delayed method to settle.

    `captured_minor` is None while the money is only held (`capture_method=manual`); what is released without having
    been taken counts as refunded, as at Stripe.
    """

    id: str
    created: int
    amount_minor: int
    currency: str
    payment_intent: str
    payment_method: str
    intent_data: IntentData
    decline: Decline | None = None
    refunded_minor: int = 0
    status: Literal["succeeded", "pending", "failed"] = "succeeded"
    captured_minor: int | None = None
    customer: str | None = None
    disputed: bool = False
    authenticated: bool = False

    @property
    def refundable_minor(self) -> int:
        """What can still be given back."""
        taken = self.status == "succeeded" and self.captured_minor is not None
        return self.amount_minor - self.refunded_minor if taken else 0


@frozen
class Refund:
    """Money given back of one charge, the way it came (`method_type`)."""

    id: str
    created: int
    amount_minor: int
    currency: str
    charge: str
    payment_intent: str
    reason: str | None = None
    metadata: Metadata = Factory(dict[str, str])
    method_type: str = "card"


IntentStatus = Literal[
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
    "processing",
    "requires_capture",
    "succeeded",
    "canceled",
]


@frozen
class Failure:
    """Why the latest attempt of an intent came to nothing. `charge` is None where none was tried."""

    decline: Decline
    method: str
    charge: str | None = None


@frozen
class PaymentIntent:
    """A payment: of one session, made at the first attempt; of an invoice, made when it is finalized; or by the API.

    `authenticated`: the challenge is passed, and the server confirms once more (`confirmation_method=manual`).
    `settles_at` is when a delayed payment under way ends by itself. `automatic` is `allow_redirects` of
    `automatic_payment_methods`, None where that was not asked for.
    """

    id: str
    created: int
    amount_minor: int
    currency: str
    client_secret: str
    intent_data: IntentData
    status: IntentStatus = "requires_payment_method"
    payment_method: str | None = None
    latest_charge: str | None = None
    received_minor: int = 0
    canceled_at: int | None = None
    cancellation_reason: str | None = None
    capture_method: str = "automatic_async"
    confirmation_method: str = "automatic"
    customer: str | None = None
    failure: Failure | None = None
    return_url: str | None = None
    authenticated: bool = False
    settles_at: int | None = None
    automatic: str | None = None
    allowed_payment_method_types: tuple[str, ...] | None = None
    excluded_payment_method_types: tuple[str, ...] | None = None
    payment_method_types: tuple[str, ...] = ("card",)
    setup_future_usage: str | None = None
    invoice: str | None = None
