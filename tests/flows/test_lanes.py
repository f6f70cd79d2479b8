"""A claim is put into its lanes at once where its events bear our mark; what does not fit is handled all the same."""

from __future__ import annotations

from payments_core import PaymentSuccessful
from payments_core.domain.mark import peek_mark
from tests.flows.shop import Shop, own_session

DONE = "checkout.session.completed"


def test_a_claim_of_several_payments_settles_each_once(shop: Shop) -> None:
    """Five payments' completions and their repeats under other ids, in one claim: five facts."""
    told = shop.on(PaymentSuccessful)
    opened = [shop.checkout() for _ in range(5)]
    for checkout in [*opened, *opened]:
        shop.deliver(shop.event(DONE, own_session(shop, checkout))[0])
    shop.work()
    assert sorted(event.session_id for event in told) == sorted(checkout.session_id for checkout in opened)


def test_a_mark_that_names_no_payment_is_routed_by_what_else_is_known(shop: Shop) -> None:
    """Beside an event that is put into its lane at once, one of an unknown mark finds its payment by its session."""
    told = shop.on(PaymentSuccessful)
    first, second = shop.checkout(), shop.checkout()
    shop.deliver(shop.event(DONE, own_session(shop, first))[0])
    unknown = {**own_session(shop, second), "metadata": {"payments_core_id": "nobody"}}
    shop.gateway.put_session(unknown)
    shop.deliver(shop.event(DONE, unknown)[0])
    shop.work()
    assert [event.session_id for event in told] == [first.session_id]
    # It has found its payment, and does not prove it: the mark is not ours.
    (odd,) = shop.published("payment.mismatch")
    assert odd["data"]["sessionId"] == second.session_id


def test_a_mark_that_two_parsers_read_differently_moves_no_money(shop: Shop) -> None:
    """The quick look reads the last of two marks; the strict reading refuses the event, which ends as a dead letter."""
    told = shop.on(PaymentSuccessful)
    first, second = shop.checkout(), shop.checkout()
    shop.deliver(shop.event(DONE, own_session(shop, first))[0])
    body, event_id = shop.event(DONE, own_session(shop, second))
    mark = b'"payments_core_id": '
    ambiguous = body.replace(mark, b'"payments_core_id": "nobody", ' + mark)
    assert peek_mark(ambiguous) == peek_mark(body)
    shop.deliver(ambiguous)
    shop.work()
    assert [event.session_id for event in told] == [first.session_id]
    assert shop.inbox(event_id).state.name == "DEAD"


def test_a_mark_that_is_no_text_holds_up_none_of_its_neighbours(shop: Shop) -> None:
    """Bytes that are no UTF-8 in one event's mark: a dead letter, and what was claimed with it is settled."""
    told = shop.on(PaymentSuccessful)
    first = shop.checkout()
    body, event_id = shop.event(DONE, own_session(shop, shop.checkout()))
    shop.deliver(body.replace(b'"payments_core_id": "', b'"payments_core_id": "\xff'))
    shop.deliver(shop.event(DONE, own_session(shop, first))[0])
    shop.work()
    assert [event.session_id for event in told] == [first.session_id]
    assert shop.inbox(event_id).state.name == "DEAD"


def test_an_event_in_another_payment_s_lane_is_moved_to_its_own(shop: Shop) -> None:
    """Whatever put it there: it is handled in the lane of the payment that it is about, and that lane is kept free."""
    told = shop.on(PaymentSuccessful)
    own, other = shop.checkout(), shop.checkout()
    body, event_id = shop.event(DONE, own_session(shop, own))
    shop.deliver(body)
    other_id = own_session(shop, other)["metadata"]["payments_core_id"]
    (claimed,) = shop.run(shop.store.claim(limit=1, lease_s=30))
    assert shop.run(shop.store.assign_lane(claimed, other_id))
    assert shop.run(shop.store.let_go(claimed, delay_s=0, reason="", counted=False, parked=False))
    shop.work()
    assert [event.session_id for event in told] == [own.session_id]
    (record,) = shop.run(shop.store.records.named(event_id)).events
    assert record.payment_id == told[0].payment_id != other_id


def test_a_body_without_a_mark_shows_none() -> None:
    """Whatever is not an event with our mark gives None, and no error."""
    unreadable = b'{"data":{"object":{"metadata":{"payments_core_id":"\xff"}}}}'
    for body in (b"", b"[]", b"{}", b'{"data":{"object":{"metadata":{}}}}', b'{"data":' * 5000, unreadable):
        assert peek_mark(body) is None
