"""The payments API as a service of its own: what the container image runs.

Everything comes from the environment, and nothing has a default that real money could depend on. FRAMEWORK=flask runs
the synchronous twin.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any, Final

from examples.shop import logs
from payments_core import AsyncPayments, ConfigurationError, PaymentFailed, Payments, PaymentSuccessful, Settings

API: Final = "/api/payments"
#: All interfaces: the service is meant for a container, whose network decides who reaches it.
HOST: Final = "0.0.0.0"  # noqa: S104

_log = logging.getLogger("service")


def fastapi_app() -> Any:
    """The service under FastAPI."""
    from fastapi import FastAPI

    from payments_fastapi import create_router, install_error_handlers

    logs.configure()
    payments = AsyncPayments.from_env()

    @payments.on(PaymentSuccessful)
    async def settled(event: PaymentSuccessful) -> None:
        _log.info("Order can be fulfilled", extra={"paymentId": event.payment_id, "eventId": event.event_id})

    @payments.on(PaymentFailed)
    async def failed(event: PaymentFailed) -> None:
        _log.info("Attempt was declined", extra={"paymentId": event.payment_id, "eventId": event.event_id})

    app = FastAPI(title="Payments")
    app.include_router(create_router(payments), prefix=API)
    install_error_handlers(app)
    return app


def flask_app() -> Any:
    """The service under Flask."""
    from flask import Flask

    from payments_flask import create_blueprint, install_error_handlers

    logs.configure()
    payments = Payments.from_env()

    @payments.on(PaymentSuccessful)
    def settled(event: PaymentSuccessful) -> None:
        _log.info("Order can be fulfilled", extra={"paymentId": event.payment_id, "eventId": event.event_id})

    @payments.on(PaymentFailed)
    def failed(event: PaymentFailed) -> None:
        _log.info("Attempt was declined", extra={"paymentId": event.payment_id, "eventId": event.event_id})

    app = Flask(__name__)
    app.register_blueprint(create_blueprint(payments), url_prefix=API)
    install_error_handlers(app)
    return app


def main() -> int:
    """Serve until SIGTERM; the exit code."""
    framework = os.environ.get("FRAMEWORK", "").strip().lower() or "fastapi"
    try:
        settings = Settings.from_env()
        settings.webhook_secrets()
    except ConfigurationError as reason:
        print(f"payments service: {reason}", file=sys.stderr)
        return 1
    if framework == "flask":
        options = ["--worker-class", "gthread", "--threads", "16", "--no-control-socket"]
        gunicorn = [sys.executable, "-m", "gunicorn", "--bind", f"{HOST}:{settings.port}", *options]
        os.execv(sys.executable, [*gunicorn, "examples.service:flask_app()"])  # noqa: S606 - gunicorn takes this process over
    if framework != "fastapi":
        print(f"payments service: FRAMEWORK is {framework!r}; put fastapi or flask there.", file=sys.stderr)
        return 1
    import uvicorn

    # Whom to believe about forwarded addresses is said once, by PAYMENTS_TRUSTED_PROXIES.
    uvicorn.run(
        "examples.service:fastapi_app",
        factory=True,
        host=HOST,
        port=settings.port,
        access_log=False,
        log_config=None,
        proxy_headers=False,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
