"""A local Stripe: Checkout Sessions that can be paid on a page, products and prices, signed webhooks with retries.

`from payments_core.sandbox import Sandbox` for tests and embedding, `payments sandbox` on the command line. The
state machine needs nothing but this library; `Sandbox.app` and `serve` need `pip install 'payments-core[sandbox]'`.
"""

from __future__ import annotations

from .chaos import CALM, Chaos
from .embed import Sandbox
from .errors import StripeRefusal
from .server import PortInUse, bind, running, serve, url_of
from .state_file import StateFileRefused

__all__ = [
    "CALM",
    "Chaos",
    "PortInUse",
    "Sandbox",
    "StateFileRefused",
    "StripeRefusal",
    "bind",
    "running",
    "serve",
    "url_of",
]
