"""The test cards that Stripe documents, and what each does: https://docs.stripe.com/testing."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import Factory, frozen

from .records.payments import Conduct, Decline

_DECLINED = "Your card was declined."


@frozen
class KnownCard:
    """A documented test card: brand, words for a person, what happens, and the name after `tok_` and `pm_card_`.

    `names` are several where Stripe documents several. `usual` cards are the few that the payment page offers.
    """

    brand: str
    words: str
    names: tuple[str, ...] = ()
    conduct: Conduct = Factory(Conduct)
    funding: str = "credit"
    usual: bool = False


def _refused(code: str, words: str, reason: str | None = None, advice: str | None = None) -> Conduct:
    return Conduct(decline=Decline(code, words, reason, advice))


#: What each test card does.
TEST_CARDS: Mapping[str, KnownCard] = {
    "4242424242424242": KnownCard("visa", "Pays", ("visa",), usual=True),
    "5555555555554444": KnownCard("mastercard", "Pays (Mastercard)", ("mastercard",), usual=True),
    "4000056655665556": KnownCard("visa", "Pays (Visa debit)", ("visa_debit",), funding="debit"),
    "2223003122003222": KnownCard("mastercard", "Pays (Mastercard, 2-series)"),
    "5200828282828210": KnownCard("mastercard", "Pays (Mastercard debit)", ("mastercard_debit",), funding="debit"),
    "5105105105105100": KnownCard(
        "mastercard", "Pays (Mastercard prepaid)", ("mastercard_prepaid",), funding="prepaid"
    ),
    "378282246310005": KnownCard("amex", "Pays (American Express)", ("amex",)),
    "6011111111111117": KnownCard("discover", "Pays (Discover)", ("discover",)),
    "3056930009020004": KnownCard("diners", "Pays (Diners Club)", ("diners",)),
    "3566002020360505": KnownCard("jcb", "Pays (JCB)", ("jcb",)),
    "6200000000000005": KnownCard("unionpay", "Pays (UnionPay)", ("unionpay",)),
    "4000000000000002": KnownCard(
        "visa",
        "Declined",
        ("chargeDeclined", "visa_chargeDeclined"),
        _refused("card_declined", _DECLINED, "generic_decline"),
        usual=True,
    ),
    "4000000000009995": KnownCard(
        "visa",
        "Insufficient funds",
        ("chargeDeclinedInsufficientFunds", "visa_chargeDeclinedInsufficientFunds"),
        _refused("card_declined", "Your card has insufficient funds.", "insufficient_funds", "try_again_later"),
        usual=True,
    ),
    "4000000000009987": KnownCard(
        "visa",
        "Lost card",
        ("chargeDeclinedLostCard", "visa_chargeDeclinedLostCard"),
        _refused("card_declined", _DECLINED, "lost_card", "do_not_try_again"),
        usual=True,
    ),
    "4000000000009979": KnownCard(
        "visa",
        "Stolen card",
        ("chargeDeclinedStolenCard", "visa_chargeDeclinedStolenCard"),
        _refused("card_declined", _DECLINED, "stolen_card", "do_not_try_again"),
    ),
    "4000000000000069": KnownCard(
        "visa",
        "Expired card",
        ("chargeDeclinedExpiredCard",),
        _refused("expired_card", "Your card has expired."),
        usual=True,
    ),
    "4000000000000127": KnownCard(
        "visa",
        "Wrong security code",
        ("chargeDeclinedIncorrectCvc",),
        _refused("incorrect_cvc", "Your card's security code is incorrect."),
        usual=True,
    ),
    "4000000000000119": KnownCard(
        "visa",
        "Processing error",
        ("chargeDeclinedProcessingError",),
        _refused(
            "processing_error",
            "An error occurred while processing your card. Try again in a little bit.",
            advice="try_again_later",
        ),
    ),
    "4000000000006975": KnownCard(
        "visa",
        "Too many payments with the card",
        ("visa_chargeDeclinedVelocityLimitExceeded",),
        _refused(
            "card_declined",
            "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
            "card_velocity_exceeded",
        ),
    ),
    "4000000000000341": KnownCard(
        "visa",
        "Can be attached to a customer, and is declined then",
        ("chargeCustomerFail",),
        Conduct(decline=Decline("card_declined", _DECLINED, "generic_decline"), attachable=True),
    ),
    "4100000000000019": KnownCard(
        "visa",
        "Blocked by Stripe as too risky",
        ("radarBlock",),
        Conduct(decline=Decline("card_declined", _DECLINED, "fraudulent", blocked=True)),
    ),
    "4000000000000259": KnownCard(
        "visa", "Pays, then disputed as fraudulent", ("createDispute",), Conduct(dispute="fraudulent")
    ),
    "4000000000002685": KnownCard(
        "visa",
        "Pays, then disputed as not received",
        ("createDisputeProductNotReceived",),
        Conduct(dispute="product_not_received"),
    ),
    "4000000000001976": KnownCard(
        "visa", "Pays, then an inquiry", ("createDisputeInquiry",), Conduct(dispute="inquiry")
    ),
    "4000000000005423": KnownCard(
        "visa", "Pays, then an early fraud warning", ("createIssuerFraudRecord",), Conduct(warned=True)
    ),
    "4000002760003184": KnownCard(
        "visa", "3-D Secure on every payment", ("authenticationRequired",), Conduct(challenge=True), usual=True
    ),
    "4000002500003155": KnownCard(
        "visa",
        "3-D Secure unless it was set up before",
        ("authenticationRequiredOnSetup",),
        Conduct(challenge=True),
    ),
    "4000000000003220": KnownCard(
        "visa",
        "3-D Secure 2 is required",
        ("threeDSecure2Required", "threeDSecureRequired"),
        Conduct(challenge=True),
    ),
    "4000008260003178": KnownCard(
        "visa",
        "3-D Secure, then insufficient funds",
        ("authenticationRequiredChargeDeclinedInsufficientFunds",),
        Conduct(
            challenge=True,
            decline=Decline(
                "card_declined", "Your card has insufficient funds.", "insufficient_funds", "try_again_later"
            ),
        ),
    ),
    "4000008400001629": KnownCard(
        "visa",
        "3-D Secure, then declined",
        ("threeDSecureRequiredChargeDeclined",),
        Conduct(challenge=True, decline=Decline("card_declined", _DECLINED, "generic_decline")),
    ),
    "4000000000003055": KnownCard("visa", "3-D Secure is possible, not needed", ("threeDSecureOptional",)),
}
