"""A local Stripe: Checkout Sessions that can be paid on a page, products and prices, signed webhooks with retries.

`from payments_core.sandbox import Sandbox` for tests and embedding, `payments sandbox` on the command line. The
state machine needs nothing but this library; `Sandbox.app` and `serve` need `pip install 'payments-core[sandbox]'`.
"""

from __future__ import annotations

from .embed import Sandbox
from .errors import StripeRefusal
from .server import PortInUse, bind, running, serve, url_of

__all__ = ["PortInUse", "Sandbox", "StripeRefusal", "bind", "running", "serve", "url_of"]
