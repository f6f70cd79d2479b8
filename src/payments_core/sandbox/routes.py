"""The API's routes: method and path to the one function that answers.

A handler gets the context, the request's parameters and the ids in its path, and returns a Stripe object or list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from . import catalogue, checkout, deliveries, endpoints, payments, refunds, render
from .errors import JsonObject, invalid, no_such, not_implemented
from .listing import PAGING, created_filter, page
from .params import Params
from .records import Event, Price, Session
from .shapes import account as account_shapes
from .shapes import catalogue as catalogue_shapes
from .shapes import payments as payment_shapes
from .state import EVENT_LIFE_S, Context

Handler: TypeAlias = Callable[[Context, Params, str], JsonObject]


def create_session(context: Context, params: Params, _: str) -> JsonObject:
    """`POST /v1/checkout/sessions`."""
    return render.session(context, checkout.create(context, params))


def retrieve_session(context: Context, params: Params, session_id: str) -> JsonObject:
    """`GET /v1/checkout/sessions/{id}`."""
    params.only()
    return render.session(context, context.state.sessions.need(session_id, "session"))


def update_session(context: Context, params: Params, session_id: str) -> JsonObject:
    """`POST /v1/checkout/sessions/{id}`."""
    session = context.state.sessions.need(session_id, "session")
    return render.session(context, checkout.update(context, session, params))


def expire_session(context: Context, params: Params, session_id: str) -> JsonObject:
    """`POST /v1/checkout/sessions/{id}/expire`."""
    params.only()
    session = context.state.sessions.need(session_id, "session")
    return render.session(context, payments.expire(context, session))


def list_sessions(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/checkout/sessions`."""
    params.only(
        *PAGING, "created", "status", "payment_intent", "customer_details", "subscription", "payment_link",
        elsewhere=("customer", "customer_account"),
    )  # fmt: skip
    matches = _session_filter(params)
    inside = created_filter(params)
    found = [s for s in context.state.sessions.newest() if inside(s) and matches(s)]
    return page(found, params, "/v1/checkout/sessions", lambda session: render.session(context, session))


def _session_filter(params: Params) -> Callable[[Session], bool]:
    status = params.choice("status", ("complete", "expired", "open"))
    intent, details = params.text("payment_intent"), params.child("customer_details")
    nowhere = "subscription" in params or "payment_link" in params
    if details is not None:
        details.only("email")
    email = details.required("email") if details is not None else None

    def matches(session: Session) -> bool:
        known = session.buyer.email if session.buyer else session.customer_email
        return (
            not nowhere
            and (status is None or session.status == status)
            and (intent is None or session.payment_intent == intent)
            and (email is None or known == email)
        )

    return matches


def list_lines(context: Context, params: Params, session_id: str) -> JsonObject:
    """`GET /v1/checkout/sessions/{id}/line_items`, in the order of the cart."""
    params.only(*PAGING)
    session = context.state.sessions.need(session_id, "session")
    return page(session.lines, params, render.lines_url(session), lambda line: render.line_item(context, line))


def create_product(context: Context, params: Params, _: str) -> JsonObject:
    """`POST /v1/products`."""
    return catalogue_shapes.product(catalogue.create_product(context, params))


def retrieve_product(context: Context, params: Params, product_id: str) -> JsonObject:
    """`GET /v1/products/{id}`."""
    params.only()
    return catalogue_shapes.product(context.state.products.need(product_id))


def update_product(context: Context, params: Params, product_id: str) -> JsonObject:
    """`POST /v1/products/{id}`."""
    product = context.state.products.need(product_id)
    return catalogue_shapes.product(catalogue.update_product(context, product, params))


def delete_product(context: Context, params: Params, product_id: str) -> JsonObject:
    """`DELETE /v1/products/{id}`."""
    params.only()
    return catalogue.delete_product(context, context.state.products.need(product_id))


def list_products(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/products`; products made inline by a session are left out."""
    params.only(*PAGING, "active", "created", "ids", "shippable", "url", elsewhere=("type",))
    active, shippable = params.boolean("active"), params.boolean("shippable")
    ids, url, inside = params.texts("ids"), params.text("url"), created_filter(params)
    found = [
        product
        for product in context.state.products.newest()
        if not product.inline
        and inside(product)
        and (active is None or product.active == active)
        and (shippable is None or product.shippable == shippable)
        and (ids is None or product.id in ids)
        and (url is None or product.url == url)
    ]
    return page(found, params, "/v1/products", catalogue_shapes.product)


def create_price(context: Context, params: Params, _: str) -> JsonObject:
    """`POST /v1/prices`."""
    return catalogue_shapes.price(catalogue.create_price(context, params))


def retrieve_price(context: Context, params: Params, price_id: str) -> JsonObject:
    """`GET /v1/prices/{id}`."""
    params.only()
    return catalogue_shapes.price(context.state.prices.need(price_id, "price"))


def update_price(context: Context, params: Params, price_id: str) -> JsonObject:
    """`POST /v1/prices/{id}`."""
    price = context.state.prices.need(price_id, "price")
    return catalogue_shapes.price(catalogue.update_price(context, price, params))


def list_prices(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/prices`; prices made inline by a session are left out."""
    params.only(*PAGING, "active", "created", "currency", "lookup_keys", "product", "type", elsewhere=("recurring",))
    active, currency, product = params.boolean("active"), params.text("currency"), params.text("product")
    recurring = params.choice("type", ("one_time", "recurring")) == "recurring"
    keys, inside = params.texts("lookup_keys"), created_filter(params)
    if keys is not None and len(keys) > 10:
        raise invalid("lookup_keys", "You may only specify up to 10 lookup_keys.")

    def matches(price: Price) -> bool:
        return (
            not price.inline
            and not recurring
            and (active is None or price.active == active)
            and (currency is None or price.currency == currency)
            and (product is None or price.product == product)
            and (keys is None or price.lookup_key in keys)
        )

    found = [price for price in context.state.prices.newest() if inside(price) and matches(price)]
    return page(found, params, "/v1/prices", catalogue_shapes.price)


def refuse_search(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/{products,prices}/search`."""
    raise not_implemented("search")


def retrieve_intent(context: Context, params: Params, intent_id: str) -> JsonObject:
    """`GET /v1/payment_intents/{id}`."""
    params.only(elsewhere=("client_secret",))
    return render.payment_intent(context, context.state.intents.need(intent_id, "intent"))


def list_intents(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/payment_intents`."""
    params.only(*PAGING, "created", elsewhere=("customer", "customer_account"))
    inside = created_filter(params)
    found = [intent for intent in context.state.intents.newest() if inside(intent)]
    return page(found, params, "/v1/payment_intents", lambda intent: render.payment_intent(context, intent))


def retrieve_charge(context: Context, params: Params, charge_id: str) -> JsonObject:
    """`GET /v1/charges/{id}`."""
    params.only()
    return render.charge(context, context.state.charges.need(charge_id, "charge"))


def list_charges(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/charges`."""
    params.only(*PAGING, "created", "payment_intent", elsewhere=("customer", "transfer_group"))
    intent, inside = params.text("payment_intent"), created_filter(params)
    found = [
        charge
        for charge in context.state.charges.newest()
        if inside(charge) and (intent is None or charge.payment_intent == intent)
    ]
    return page(found, params, "/v1/charges", lambda charge: render.charge(context, charge))


def create_refund(context: Context, params: Params, _: str) -> JsonObject:
    """`POST /v1/refunds`."""
    return render.refund(refunds.create(context, params))


def retrieve_refund(context: Context, params: Params, refund_id: str) -> JsonObject:
    """`GET /v1/refunds/{id}`."""
    params.only()
    return render.refund(context.state.refunds.need(refund_id, "refund"))


def list_refunds(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/refunds`."""
    params.only(*PAGING, "charge", "created", "payment_intent")
    charge, intent, inside = params.text("charge"), params.text("payment_intent"), created_filter(params)
    found = [
        refund
        for refund in context.state.refunds.newest()
        if inside(refund)
        and (charge is None or refund.charge == charge)
        and (intent is None or refund.payment_intent == intent)
    ]
    return page(found, params, "/v1/refunds", render.refund)


def list_invoices(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/invoices`: truly empty, since the sandbox makes none."""
    params.only(
        *PAGING, "collection_method", "created", "due_date", "status", "subscription",
        elsewhere=("customer", "customer_account"),
    )  # fmt: skip
    params.choice("status", ("draft", "open", "paid", "uncollectible", "void"))
    created_filter(params)
    nothing: list[Event] = []
    return page(nothing, params, "/v1/invoices", lambda record: {})


def retrieve_invoice(context: Context, params: Params, invoice_id: str) -> JsonObject:
    """`GET /v1/invoices/{id}`: there is none."""
    raise no_such("invoice", invoice_id, "invoice")


def retrieve_method(context: Context, params: Params, method_id: str) -> JsonObject:
    """`GET /v1/payment_methods/{id}`."""
    params.only()
    return payment_shapes.payment_method(context.state.methods.need(method_id, "payment_method"))


def list_invoice_payments(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/invoice_payments`: truly empty, since the sandbox makes no invoices."""
    params.only(*PAGING, "created", "invoice", "payment", "status")
    payment = params.child("payment")
    if payment is not None:
        payment.only("type", "payment_intent", "charge", "payment_record")
        payment.choice("type", ("charge", "payment_intent", "payment_record"))
    nothing: list[Event] = []
    return page(nothing, params, "/v1/invoice_payments", lambda record: {})


def retrieve_event(context: Context, params: Params, event_id: str) -> JsonObject:
    """`GET /v1/events/{id}`, for 30 days."""
    params.only()
    event = context.state.events.need(event_id)
    if event.created <= context.now - EVENT_LIFE_S:
        raise no_such("event", event_id, "id")
    return render.event(context, event)


def list_events(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/events`: the last 30 days, by type, time and whether all endpoints have taken them."""
    params.only(*PAGING, "created", "delivery_success", "type", "types")
    kinds, delivered, inside = _kinds(params), params.boolean("delivery_success"), created_filter(params)
    oldest = context.now - EVENT_LIFE_S
    found = [
        event
        for event in context.state.events.newest()
        if event.created > oldest
        and inside(event)
        and kinds(event.type)
        and (delivered is None or deliveries.all_delivered(context.state, event.id) == delivered)
    ]
    return page(found, params, "/v1/events", lambda event: render.event(context, event))


def _kinds(params: Params) -> Callable[[str], bool]:
    one, several = params.text("type"), params.texts("types")
    if one is not None and several is not None:
        raise invalid("types", "You may only specify one of these parameters: type, types.", "parameters_exclusive")
    if several is not None and len(several) > 20:
        raise invalid("types", "You may only specify up to 20 types.")
    wanted = several if several is not None else [one] if one is not None else None

    def matches(kind: str) -> bool:
        return wanted is None or any(
            kind == want or (want.endswith("*") and kind.startswith(want[:-1])) for want in wanted
        )

    return matches


def create_endpoint(context: Context, params: Params, _: str) -> JsonObject:
    """`POST /v1/webhook_endpoints`."""
    return account_shapes.webhook_endpoint(endpoints.create(context, params), with_secret=True)


def retrieve_endpoint(context: Context, params: Params, endpoint_id: str) -> JsonObject:
    """`GET /v1/webhook_endpoints/{id}`."""
    params.only()
    return account_shapes.webhook_endpoint(context.state.endpoints.need(endpoint_id, "webhook_endpoint"))


def update_endpoint(context: Context, params: Params, endpoint_id: str) -> JsonObject:
    """`POST /v1/webhook_endpoints/{id}`."""
    endpoint = context.state.endpoints.need(endpoint_id, "webhook_endpoint")
    return account_shapes.webhook_endpoint(endpoints.update(context, endpoint, params))


def delete_endpoint(context: Context, params: Params, endpoint_id: str) -> JsonObject:
    """`DELETE /v1/webhook_endpoints/{id}`."""
    params.only()
    return endpoints.delete(context, context.state.endpoints.need(endpoint_id, "webhook_endpoint"))


def list_endpoints(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/webhook_endpoints`, those of the command line included."""
    params.only(*PAGING)
    return page(context.state.endpoints.newest(), params, "/v1/webhook_endpoints", account_shapes.webhook_endpoint)


def retrieve_account(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/account`."""
    params.only()
    return account_shapes.account(context.state)


def retrieve_balance(context: Context, params: Params, _: str) -> JsonObject:
    """`GET /v1/balance`: the sum of what was paid and not given back, per currency."""
    params.only()
    pending: dict[str, int] = {}
    for charge in context.state.charges:
        if charge.decline is None:
            pending[charge.currency] = pending.get(charge.currency, 0) + charge.amount_minor - charge.refunded_minor
    return account_shapes.balance(pending)


#: `{}` stands for one id.
ROUTES: Mapping[tuple[str, str], Handler] = {
    ("POST", "/v1/checkout/sessions"): create_session,
    ("GET", "/v1/checkout/sessions"): list_sessions,
    ("GET", "/v1/checkout/sessions/{}"): retrieve_session,
    ("POST", "/v1/checkout/sessions/{}"): update_session,
    ("POST", "/v1/checkout/sessions/{}/expire"): expire_session,
    ("GET", "/v1/checkout/sessions/{}/line_items"): list_lines,
    ("POST", "/v1/products"): create_product,
    ("GET", "/v1/products"): list_products,
    ("GET", "/v1/products/search"): refuse_search,
    ("GET", "/v1/products/{}"): retrieve_product,
    ("POST", "/v1/products/{}"): update_product,
    ("DELETE", "/v1/products/{}"): delete_product,
    ("POST", "/v1/prices"): create_price,
    ("GET", "/v1/prices"): list_prices,
    ("GET", "/v1/prices/search"): refuse_search,
    ("GET", "/v1/prices/{}"): retrieve_price,
    ("POST", "/v1/prices/{}"): update_price,
    ("GET", "/v1/payment_intents"): list_intents,
    ("GET", "/v1/payment_intents/{}"): retrieve_intent,
    ("GET", "/v1/charges"): list_charges,
    ("GET", "/v1/charges/{}"): retrieve_charge,
    ("POST", "/v1/refunds"): create_refund,
    ("GET", "/v1/refunds"): list_refunds,
    ("GET", "/v1/refunds/{}"): retrieve_refund,
    ("GET", "/v1/invoices"): list_invoices,
    ("GET", "/v1/invoices/{}"): retrieve_invoice,
    ("GET", "/v1/payment_methods/{}"): retrieve_method,
    ("GET", "/v1/invoice_payments"): list_invoice_payments,
    ("GET", "/v1/events"): list_events,
    ("GET", "/v1/events/{}"): retrieve_event,
    ("POST", "/v1/webhook_endpoints"): create_endpoint,
    ("GET", "/v1/webhook_endpoints"): list_endpoints,
    ("GET", "/v1/webhook_endpoints/{}"): retrieve_endpoint,
    ("POST", "/v1/webhook_endpoints/{}"): update_endpoint,
    ("DELETE", "/v1/webhook_endpoints/{}"): delete_endpoint,
    ("GET", "/v1/account"): retrieve_account,
    ("GET", "/v1/balance"): retrieve_balance,
}


def find(method: str, segments: list[str]) -> tuple[str, Handler, str] | None:
    """The route of a path's segments: its pattern, its handler and the id in the path (empty where it has none)."""
    exact = "/" + "/".join(segments)
    if "{}" not in exact and (handler := ROUTES.get((method, exact))) is not None:
        return exact, handler, ""
    for position in range(2, len(segments)):
        pattern = "/" + "/".join([*segments[:position], "{}", *segments[position + 1 :]])
        if (handler := ROUTES.get((method, pattern))) is not None and segments[position]:
            return pattern, handler, segments[position]
    return None
