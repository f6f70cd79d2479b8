"""The shop under FastAPI: asynchronous throughout."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import FastAPI, Request
from fastapi.params import Query
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from examples.shop import cart as carts
from examples.shop import config, logs, orders, pages
from payments_core import (
    AsyncPayments,
    IdempotencyConflict,
    IdempotencyInProgress,
    PaymentFailed,
    PaymentsError,
    PaymentSuccessful,
    SessionNotFound,
    StripeEvent,
    Transaction,
)
from payments_fastapi import create_router, install_error_handlers

MAX_FORM_BYTES = 10_000


def create_app() -> FastAPI:
    """The shop over the configuration of the environment. Raises ConfigurationError for one that cannot be used."""
    logs.configure()
    payments = AsyncPayments.from_env(relay=config.has_broker())
    engine = create_async_engine(
        orders.database(payments.core.settings.payments_database_url.get_secret_value(), asynchronous=True)
    )
    _handle(payments)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(orders.metadata.create_all)
        yield
        await engine.dispose()

    app = FastAPI(title="Example shop", lifespan=lifespan)
    app.include_router(create_router(payments), prefix=config.API)
    install_error_handlers(app)
    app.mount("/static", StaticFiles(directory=config.STATIC), name="static")
    app.middleware("http")(_safe_headers)
    _show(app, payments, engine)
    return app


def _handle(payments: AsyncPayments) -> None:
    """What the shop does with payments. All of it is in the library's own transaction."""

    @payments.on(PaymentSuccessful)
    async def place_order(event: PaymentSuccessful, tx: Transaction) -> None:
        await tx.session.execute(orders.order_of(event))

    @payments.on(PaymentFailed)
    async def note_decline(event: PaymentFailed, tx: Transaction) -> None:
        await tx.session.execute(orders.declined(event))

    for kind in orders.SHOWN_WEBHOOKS:

        @payments.on(kind)
        async def note_webhook(event: StripeEvent, tx: Transaction) -> None:
            await tx.session.execute(orders.received(event))


def _show(app: FastAPI, payments: AsyncPayments, engine: AsyncEngine) -> None:
    async def activity() -> dict[str, Any]:
        async with engine.connect() as connection:
            placed = (await connection.execute(orders.newest_orders())).all()
            seen = (await connection.execute(orders.newest_happenings())).all()
        return orders.activity(placed, seen, await payments.recent_events(20))

    @app.get("/", response_class=HTMLResponse)
    async def catalogue(request: Request) -> str:
        return pages.catalogue(_cart(request), await activity())

    @app.get("/cart", response_class=HTMLResponse)
    async def show_cart(request: Request) -> str:
        return pages.cart_page(_cart(request))

    @app.post("/cart/add")
    async def add(request: Request) -> Response:
        form = await _form(request)
        return _to_cart(carts.added(_cart(request), form.get("product", "")))

    @app.post("/cart/change")
    async def change(request: Request) -> Response:
        form = await _form(request)
        quantity = carts.quantity_of(form.get("quantity"))
        return _to_cart(carts.changed(_cart(request), form.get("product", ""), quantity))

    @app.post("/checkout")
    async def checkout(request: Request) -> Response:
        cart, order = _cart(request), carts.order_of((await _form(request)).get("order"))
        if not cart or not config.is_own_origin(request.headers.get("origin")):
            return RedirectResponse("/cart", 303)
        wanted = carts.checkout_of(cart, shop_url=config.shop_url())
        try:
            session = await payments.create_checkout_session(wanted, idempotency_key=order)
        except IdempotencyInProgress as error:
            return HTMLResponse(pages.opening(cart, order), error.status)
        except IdempotencyConflict:
            # The cart was changed in another window: the buyer is to see what is in it now.
            return RedirectResponse("/cart", 303)
        except PaymentsError as error:
            return HTMLResponse(pages.problem(cart, error), error.status)
        return RedirectResponse(str(session.url), 303)

    @app.get("/success")
    async def success(request: Request, session_id: Annotated[str, Query()] = "", cart: str = "") -> Response:
        try:
            status = await payments.session_status(session_id)
            happened = await activity()
        except SessionNotFound as error:
            return HTMLResponse(pages.problem(_cart(request), error), error.status)
        except (PaymentsError, SQLAlchemyError):
            return HTMLResponse(pages.unseen(_cart(request)), 503)
        left = carts.left_by(status, _cart(request), cart)
        page = HTMLResponse(pages.success(left, status, happened))
        if not left:
            page.delete_cookie(carts.COOKIE)
        return page

    @app.get("/activity", response_class=HTMLResponse)
    async def show_activity(request: Request) -> str:
        return pages.activity_page(_cart(request), await activity())

    @app.get("/activity.json")
    async def activity_json() -> JSONResponse:
        return JSONResponse(await activity(), headers={"Cache-Control": "no-store"})

    @app.exception_handler(404)
    async def missing(request: Request, _: Exception) -> HTMLResponse:
        return HTMLResponse(pages.missing(_cart(request)), 404)

    @app.get("/favicon.ico", include_in_schema=False)
    async def favicon() -> RedirectResponse:
        return RedirectResponse("/static/favicon.svg", 308)


async def _safe_headers(request: Request, call_next: Any) -> Response:
    response: Response = await call_next(request)
    response.headers.setdefault("Content-Security-Policy", config.CONTENT_SECURITY_POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    return response


async def _form(request: Request) -> dict[str, str]:
    body = await request.body()
    fields = parse_qs(body[:MAX_FORM_BYTES].decode("utf-8", "replace"), max_num_fields=20)
    return {name: values[-1] for name, values in fields.items()}


def _cart(request: Request) -> dict[str, int]:
    return carts.read_cart(request.cookies.get(carts.COOKIE))


def _to_cart(cart: dict[str, int]) -> Response:
    response = RedirectResponse("/cart", 303)
    response.set_cookie(carts.COOKIE, carts.write_cart(cart), max_age=30 * 24 * 3600, httponly=True, samesite="lax")
    return response
