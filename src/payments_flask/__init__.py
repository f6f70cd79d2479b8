"""Payments in a Flask application: one blueprint, plain synchronous code, no event loop anywhere.

```python
from payments_core import Payments
from payments_flask import create_blueprint

payments = Payments.from_env()
app = Flask(__name__)
app.register_blueprint(create_blueprint(payments), url_prefix="/api/payments")
```
"""

from __future__ import annotations

from payments_flask.blueprint import UserId, create_blueprint, install_error_handlers

__all__ = ["UserId", "create_blueprint", "install_error_handlers"]
