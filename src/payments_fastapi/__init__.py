"""Payments in a FastAPI application: one router, and nothing but translation.

```python
from payments_core import AsyncPayments
from payments_fastapi import create_router

payments = AsyncPayments.from_env()
app = FastAPI()
app.include_router(create_router(payments), prefix="/api/payments")
```

Names are resolved when they are first used, as those of `payments_core`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from payments_fastapi.errors import install_error_handlers as install_error_handlers
    from payments_fastapi.router import UserId as UserId
    from payments_fastapi.router import create_router as create_router
    from payments_fastapi.router import lifespan as lifespan

_HOMES: Final = {
    "UserId": "router",
    "create_router": "router",
    "install_error_handlers": "errors",
    "lifespan": "router",
}

__all__ = ["UserId", "create_router", "install_error_handlers", "lifespan"]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from payments_core.extras import needing

    with needing("fastapi", by=__name__):
        module = import_module(f"{__name__}.{home}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
