"""Payments in a FastAPI application: one router, and nothing but translation.

```python
from payments_core import AsyncPayments
from payments_fastapi import create_router

payments = AsyncPayments.from_env()
app = FastAPI()
app.include_router(create_router(payments), prefix="/api/payments")
```
"""

from __future__ import annotations

from payments_fastapi.errors import install_error_handlers
from payments_fastapi.router import UserId, create_router, lifespan

__all__ = ["UserId", "create_router", "install_error_handlers", "lifespan"]
