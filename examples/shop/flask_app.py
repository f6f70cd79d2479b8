"""The shop under Flask: plain synchronous code throughout."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, jsonify, redirect, request
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response as AnyResponse

from examples.shop import cart as carts
from examples.shop import config, logs, orders, pages
from payments_core import (
    IdempotencyConflict,
    IdempotencyInProgress,
    PaymentFailed,
    Payments,
    PaymentsError,
    PaymentSuccessful,
    SessionNotFound,
    StripeEvent,
    Transaction,
)
from payments_flask import create_blueprint, install_error_handlers

MAX_FORM_BYTES = 10_000


def create_app() -> Flask:
    """The shop over the configuration of the environment. Raises ConfigurationError for one that cannot be used."""
    logs.configure()
    payments = Payments.from_env(relay=config.has_broker())
    engine = create_engine(
        orders.database(payments.core.settings.payments_database_url.get_secret_value(), asynchronous=False)
    )
    _handle(payments)
    app = Flask(__name__, static_folder=str(config.STATIC), static_url_path="/static")
    app.config["MAX_FORM_MEMORY_SIZE"] = MAX_FORM_BYTES
    app.register_blueprint(create_blueprint(payments), url_prefix=config.API)
    install_error_handlers(app)
    app.after_request(_safe_headers)
    orders.metadata.create_all(engine)
    engine.dispose()
    _show(app, payments, engine)
    return app


def _handle(payments: Payments) -> None:
    """What the shop does with payments. All of it is in the library's own transaction."""

    @payments.on(PaymentSuccessful)
    def place_order(event: PaymentSuccessful, tx: Transaction) -> None:
        tx.session.execute(orders.order_of(event))

    @payments.on(PaymentFailed)
    def note_decline(event: PaymentFailed, tx: Transaction) -> None:
        tx.session.execute(orders.declined(event))

    for kind in orders.SHOWN_WEBHOOKS:

        @payments.on(kind)
        def note_webhook(event: StripeEvent, tx: Transaction) -> None:
            tx.session.execute(orders.received(event))


def _show(app: Flask, payments: Payments, engine: Engine) -> None:
    def activity() -> dict[str, Any]:
        with engine.connect() as connection:
            placed = connection.execute(orders.newest_orders()).all()
            seen = connection.execute(orders.newest_happenings()).all()
        return orders.activity(placed, seen, payments.recent_events(20))

    @app.get("/")
    def catalogue() -> str:
        return pages.catalogue(_cart(), activity())

    @app.get("/cart")
    def show_cart() -> str:
        return pages.cart_page(_cart())

    @app.post("/cart/add")
    def add() -> AnyResponse:
        return _to_cart(carts.added(_cart(), request.form.get("product", "")))

    @app.post("/cart/change")
    def change() -> AnyResponse:
        quantity = carts.quantity_of(request.form.get("quantity"))
        return _to_cart(carts.changed(_cart(), request.form.get("product", ""), quantity))

    @app.post("/checkout")
    def checkout() -> AnyResponse | tuple[str, int]:
        cart, order = _cart(), carts.order_of(request.form.get("order"))
        if not cart or not config.is_own_origin(request.headers.get("Origin")):
            return redirect("/cart", 303)
        wanted = carts.checkout_of(cart, shop_url=config.shop_url())
        try:
            session = payments.create_checkout_session(wanted, idempotency_key=order)
        except IdempotencyInProgress as error:
            return pages.opening(cart, order), error.status
        except IdempotencyConflict:
            # The cart was changed in another window: the buyer is to see what is in it now.
            return redirect("/cart", 303)
        except PaymentsError as error:
            return pages.problem(cart, error), error.status
        return redirect(str(session.url), 303)

    @app.get("/success")
    def success() -> Response | tuple[str, int]:
        try:
            status = payments.session_status(request.args.get("session_id", ""))
            happened = activity()
        except SessionNotFound as error:
            return pages.problem(_cart(), error), error.status
        except (PaymentsError, SQLAlchemyError):
            return pages.unseen(_cart()), 503
        left = carts.left_by(status, _cart(), request.args.get("cart"))
        page = Response(pages.success(left, status, happened))
        if not left:
            page.delete_cookie(carts.COOKIE)
        return page

    @app.get("/activity")
    def show_activity() -> str:
        return pages.activity_page(_cart(), activity())

    @app.get("/activity.json")
    def activity_json() -> Response:
        answer = jsonify(activity())
        answer.headers["Cache-Control"] = "no-store"
        return answer

    @app.errorhandler(404)
    def missing(_: Exception) -> tuple[str, int]:
        return pages.missing(_cart()), 404

    @app.get("/favicon.ico")
    def favicon() -> AnyResponse:
        return redirect("/static/favicon.svg", 308)


def _safe_headers(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", config.CONTENT_SECURITY_POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    return response


def _cart() -> dict[str, int]:
    return carts.read_cart(request.cookies.get(carts.COOKIE))


def _to_cart(cart: dict[str, int]) -> AnyResponse:
    response = redirect("/cart", 303)
    response.set_cookie(carts.COOKIE, carts.write_cart(cart), max_age=30 * 24 * 3600, httponly=True, samesite="Lax")
    return response
