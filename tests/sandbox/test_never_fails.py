"""Whatever is sent, the sandbox answers: a result or a refusal in Stripe's shape, never an error of its own."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from payments_core.sandbox import Sandbox
from payments_core.sandbox.api import ApiRequest
from payments_core.sandbox.routes import ROUTES
from tests.sandbox import oracle
from tests.sandbox.conftest import NOON, Caller, cart

NAMES = """
    mode success_url cancel_url return_url ui_mode line_items[0][price] line_items[0][quantity] line_items
    line_items[0][price_data][currency] line_items[0][price_data][unit_amount] line_items[0][price_data][product]
    line_items[0][price_data][unit_amount_decimal] line_items[0][price_data][product_data][name] line_items[]
    line_items[0][price_data][product_data][images][0] line_items[x] metadata metadata[a] metadata[a][b] expand
    expand[0] expand[] currency expires_at customer_email customer_details[email] payment_intent_data[metadata][a]
    payment_intent_data automatic_tax[enabled] automatic_tax branding_settings[display_name] limit starting_after
    ending_before created created[gt] types[0] type status active name id images[0] default_price unit_amount
    unit_amount_decimal product lookup_key lookup_keys[0] transfer_lookup_key currency_options[eur][unit_amount]
    currency_options product_data[name] default_price_data[currency] default_price_data[unit_amount] url
    enabled_events[0] delivery_success marketing_features[0][name] payment[type] description
    amount confirm payment_method payment_method_data[type] payment_method_data[card][token] customer return_url
    capture_method confirmation_method off_session setup_future_usage amount_to_capture cancellation_reason
    automatic_payment_methods[enabled] automatic_payment_methods card[token] type sepa_debit[iban]
    billing_details[email] billing_details evidence[uncategorized_text] evidence submit charge payment_intent reason
    invoice_settings[default_payment_method] address[city] shipping[name] shipping[address][city] preferred_locales[0]
    quantity pricing[price] price_data[currency] price_data[product] price_data[unit_amount] invoice period[start]
    pending pending_invoice_items_behavior collection_method days_until_due paid_out_of_band query page expected_amount
"""
WORDS = (
    "payment hosted_page embedded_page usd eur jpy true false 0 1 100 -1 9999999999999999 1e9 0.5 NaN Infinity "
    "https://shop.test/ http:// http://[ a@b.co data.product line_items payment_intent.latest_charge prod_x "
    "shirt price_x * charge.succeeded 1795394000 pm_card_visa pm_card_chargeDeclined pm_card_authenticationRequired "
    "pm_card_createDispute tok_visa card sepa_debit manual off_session jenny include winning_evidence "
    "escalate_inquiry_evidence name:'Shirt' metadata['a']:null active:true"
)
VALUES = st.one_of(
    st.sampled_from(WORDS.split()),
    st.just(""),
    st.text(max_size=12),
)
IDS = st.sampled_from(["shirt", "none", "", "..", "a/b", "é", "%00"])


@settings(max_examples=400, deadline=None)
@given(
    route=st.sampled_from(sorted(ROUTES)),
    object_id=IDS,
    pairs=st.lists(st.tuples(st.sampled_from(NAMES.split()), VALUES), max_size=8),
    complete=st.booleans(),
)
def test_no_request_makes_the_sandbox_fail(
    route: tuple[str, str], object_id: str, pairs: list[tuple[str, str]], complete: bool
) -> None:
    """Every route with real names and any values: below 500, and a refusal says what, why and of which type."""
    sandbox = Sandbox(clock=lambda: NOON, seed=1)
    api = Caller(sandbox)
    api.ok("POST", "/v1/products", {"id": "shirt", "name": "Shirt"})
    sandbox.pay(api.ok("POST", "/v1/checkout/sessions", cart())["id"])
    method, pattern = route
    text = "&".join(f"{quote(name)}={quote(value)}" for name, value in pairs)
    if complete:
        text += "&mode=payment&success_url=https://s.test/&currency=usd&name=n&unit_amount=100&product=shirt"
    path = pattern.replace("{}", quote(object_id, safe=""))
    body = text.encode() if method == "POST" else b""

    reply = asyncio.run(
        sandbox.answer(ApiRequest(method, path, "" if body else text, body, {"authorization": "Bearer sk_test_x"}))
    )

    assert reply.status < 500
    if reply.status != 200:
        assert reply.body["error"]["message"]
        assert reply.body["error"]["type"] in ("invalid_request_error", "card_error")
    assert (oracle.problems(reply.body) if reply.status == 200 else oracle.error_problems(reply.body)) == []
