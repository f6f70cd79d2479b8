"""Payments in a Flask application: one blueprint, plain synchronous code, no event loop anywhere.

```python
from payments_core import Payments
from payments_flask import create_blueprint

payments = Payments.from_env()
app = Flask(__name__)
app.register_blueprint(create_blueprint(payments), url_prefix="/api/payments")
```

Names are resolved when they are first used, as those of `payments_core`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from payments_flask.blueprint import UserId as UserId
    from payments_flask.blueprint import create_blueprint as create_blueprint
    from payments_flask.blueprint import install_error_handlers as install_error_handlers

_HOMES: Final = {"UserId": "blueprint", "create_blueprint": "blueprint", "install_error_handlers": "blueprint"}

__all__ = ["UserId", "create_blueprint", "install_error_handlers"]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from payments_core.extras import needing

    with needing("flask", by=__name__):
        module = import_module(f"{__name__}.{home}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
