"""The two applications that the black-box suite drives, as a user writes them.

`fastapi_app` and `flask_app` read the environment, for a server process to load; the suite's test clients build the
same from settings.
"""

from __future__ import annotations

import logging

from fastapi import FastAPI
from flask import Flask

from payments_core import AsyncPayments, Payments
from payments_fastapi import create_router
from payments_fastapi import install_error_handlers as install_in_fastapi
from payments_flask import create_blueprint
from payments_flask import install_error_handlers as install_in_flask

PREFIX = "/api/payments"


def fastapi_app(payments: AsyncPayments | None = None) -> FastAPI:
    """A FastAPI application with the payment routes and one of its own."""
    logging.basicConfig(level=logging.INFO)
    app = FastAPI()
    app.include_router(create_router(payments or AsyncPayments.from_env()), prefix=PREFIX)
    install_in_fastapi(app)

    @app.get("/")
    async def shop() -> dict[str, str]:
        return {"shop": "open"}

    return app


def flask_app(payments: Payments | None = None) -> Flask:
    """A Flask application with the payment routes and one of its own."""
    logging.basicConfig(level=logging.INFO)
    app = Flask(__name__)
    app.register_blueprint(create_blueprint(payments or Payments.from_env()), url_prefix=PREFIX)
    install_in_flask(app)

    @app.get("/")
    def shop() -> dict[str, str]:
        return {"shop": "open"}

    return app
