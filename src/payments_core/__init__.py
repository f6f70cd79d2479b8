"""Stripe payments for Flask and FastAPI: each payment's effects once, and nothing lost.

Names are resolved when they are first used, so that importing the package costs next to nothing and pulls in neither
the Stripe SDK nor a database.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ._version import __version__ as __version__
    from .app import AsyncPayments as AsyncPayments
    from .app import Payments as Payments
    from .domain.cart import Cart as Cart
    from .domain.cart import CheckoutRequest as CheckoutRequest
    from .domain.cart import CheckoutSession as CheckoutSession
    from .domain.cart import Line as Line
    from .domain.cart import SessionStatus as SessionStatus
    from .domain.delivery import DeliveryPolicy as DeliveryPolicy
    from .domain.drift import Drift as Drift
    from .domain.drift import DriftKind as DriftKind
    from .domain.drift import DriftReport as DriftReport
    from .domain.events import CheckoutExpired as CheckoutExpired
    from .domain.events import Difference as Difference
    from .domain.events import PaymentFailed as PaymentFailed
    from .domain.events import PaymentMismatch as PaymentMismatch
    from .domain.events import PaymentSuccessful as PaymentSuccessful
    from .domain.events import Product as Product
    from .domain.events import StripeEvent as StripeEvent
    from .domain.pricing import PriceClaim as PriceClaim
    from .domain.reconciliation import Reconciled as Reconciled
    from .errors import ConfigurationError as ConfigurationError
    from .errors import Discrepancy as Discrepancy
    from .errors import IdempotencyConflict as IdempotencyConflict
    from .errors import IdempotencyInProgress as IdempotencyInProgress
    from .errors import InvalidRequest as InvalidRequest
    from .errors import InvalidSignature as InvalidSignature
    from .errors import MalformedEvent as MalformedEvent
    from .errors import PaymentsError as PaymentsError
    from .errors import PriceVerificationError as PriceVerificationError
    from .errors import SessionNotFound as SessionNotFound
    from .errors import StoreUnavailable as StoreUnavailable
    from .errors import StripeError as StripeError
    from .errors import StripeUnavailable as StripeUnavailable
    from .money import Money as Money
    from .ports import Transaction as Transaction
    from .settings import Settings as Settings

_HOMES: Final = {
    "AsyncPayments": "app",
    "Cart": "domain.cart",
    "CheckoutExpired": "domain.events",
    "CheckoutRequest": "domain.cart",
    "CheckoutSession": "domain.cart",
    "ConfigurationError": "errors",
    "DeliveryPolicy": "domain.delivery",
    "Difference": "domain.events",
    "Discrepancy": "errors",
    "Drift": "domain.drift",
    "DriftKind": "domain.drift",
    "DriftReport": "domain.drift",
    "IdempotencyConflict": "errors",
    "IdempotencyInProgress": "errors",
    "InvalidRequest": "errors",
    "InvalidSignature": "errors",
    "Line": "domain.cart",
    "MalformedEvent": "errors",
    "Money": "money",
    "PaymentFailed": "domain.events",
    "PaymentMismatch": "domain.events",
    "PaymentSuccessful": "domain.events",
    "Payments": "app",
    "PaymentsError": "errors",
    "PriceClaim": "domain.pricing",
    "PriceVerificationError": "errors",
    "Product": "domain.events",
    "Reconciled": "domain.reconciliation",
    "SessionNotFound": "errors",
    "SessionStatus": "domain.cart",
    "Settings": "settings",
    "StoreUnavailable": "errors",
    "StripeError": "errors",
    "StripeEvent": "domain.events",
    "StripeUnavailable": "errors",
    "Transaction": "ports",
    "__version__": "_version",
}

__all__ = [
    "AsyncPayments",
    "Cart",
    "CheckoutExpired",
    "CheckoutRequest",
    "CheckoutSession",
    "ConfigurationError",
    "DeliveryPolicy",
    "Difference",
    "Discrepancy",
    "Drift",
    "DriftKind",
    "DriftReport",
    "IdempotencyConflict",
    "IdempotencyInProgress",
    "InvalidRequest",
    "InvalidSignature",
    "Line",
    "MalformedEvent",
    "Money",
    "PaymentFailed",
    "PaymentMismatch",
    "PaymentSuccessful",
    "Payments",
    "PaymentsError",
    "PriceClaim",
    "PriceVerificationError",
    "Product",
    "Reconciled",
    "SessionNotFound",
    "SessionStatus",
    "Settings",
    "StoreUnavailable",
    "StripeError",
    "StripeEvent",
    "StripeUnavailable",
    "Transaction",
    "__version__",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
