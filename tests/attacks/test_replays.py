"""S07, S08 and S09: authentic events where they do not belong: again, late, elsewhere, of another mode or account.

On every store, under both facades.
"""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest

from payments_core import PaymentSuccessful
from payments_core.domain.delivery import InboxState
from payments_core.domain.signature import sign
from tests.flows.shop import SECRET, own_session
from tests.guarantees.world import DONE, World

OTHER_SECRET = "whsec_of_another_endpoint"
LIVE: dict[str, Any] = {
    "stripe_secret_key": "sk_live_51Abc",
    "stripe_webhook_secret": "whsec_" + "a1B2" * 8,
    "payments_price_policy": "declared",
    "payments_redirect_hosts": "shop.test",
}


def paid(world: World, **changes: Any) -> bytes:
    """The event that tells of a paid session made here; nothing has heard it yet."""
    world.note_effects(PaymentSuccessful)
    body, _ = world.event(DONE, own_session(world, world.checkout(), **changes))  # type: ignore[arg-type]
    return body


def effects(world: World) -> tuple[int, int]:
    """How often handlers had their effect, and how many outgoing events there are."""
    return len(world.effects()), len(world.published())


def test_the_same_bytes_again_are_acknowledged_and_have_no_second_effect(world: World) -> None:
    """Header and body recorded from the wire, sent again and again within the five minutes."""
    body = paid(world)
    headers = world.signed(body)
    for _ in range(5):
        answer = world.post(body, headers)
        assert (answer.status, answer.text) == (200, '{"received": true}')
        world.shop.work()
    assert effects(world) == (1, 1)
    assert len(world.database.inbox()) == 1


def test_after_five_minutes_the_same_bytes_are_refused(world: World) -> None:
    """A recording goes stale, whether or not the event was received when it was new."""
    body = paid(world)
    old = {"Stripe-Signature": sign(body, SECRET, timestamp_s=world.now_s - 301)}
    assert world.post(body, old).status == 400
    world.hear(DONE, json.loads(body)["data"]["object"], id=json.loads(body)["id"])
    assert world.post(body, old).status == 400
    world.shop.work()
    assert effects(world) == (1, 1)


def test_at_another_endpoint_they_are_refused(world: World) -> None:
    """Each endpoint, and each tenant's, has a secret of its own."""
    body = paid(world)
    elsewhere = world.deploy(stripe_webhook_secret=OTHER_SECRET)
    assert world.post(body, by=elsewhere).status == 400
    assert world.database.inbox() == {}
    assert effects(world) == (0, 0)


def test_an_event_made_over_under_the_id_of_one_that_was_handled_has_no_effect(world: World) -> None:
    """Whoever holds the secret still cannot settle a second payment by the id of the first, nor one payment twice."""
    body = paid(world)
    assert world.post(body).status == 200
    world.shop.work()
    second = own_session(world, world.checkout(), payment_intent="pi_2")  # type: ignore[arg-type]
    world.hear(DONE, second, id=json.loads(body)["id"])
    assert effects(world) == (1, 1)
    world.hear(DONE, json.loads(body)["data"]["object"], id="evt_fresh")
    assert effects(world) == (1, 1)


@pytest.mark.parametrize(("key", "event", "subject"), list(product((False, True), repeat=3)))
def test_only_an_event_of_our_mode_about_an_object_of_our_mode_has_an_effect(
    world: World, key: bool, event: bool, subject: bool
) -> None:
    """S08, 2x2x2: the key's mode, the event's, the object's. What differs is kept, a dead letter, and shown."""
    if key:
        world.shop = world.deploy(**LIVE)
    secret = str(LIVE["stripe_webhook_secret"]) if key else SECRET
    world.note_effects(PaymentSuccessful)
    document = own_session(world, world.checkout(), livemode=subject)  # type: ignore[arg-type]
    body, event_id = world.event(DONE, document, livemode=event)
    assert world.post(body, world.signed(body, secret)).status == 200
    world.shop.work()
    if key == event == subject:
        assert effects(world) == (1, 1)
        assert world.inbox(event_id).state is InboxState.DONE
        return
    assert [kind for kind in world.kinds() if kind == "payment.successful"] == []
    assert world.effects() == []
    if key != event:
        assert world.inbox(event_id).state is InboxState.DEAD
        assert world.ready()["deadLetters"] == 1


@pytest.mark.parametrize(
    ("ours", "theirs"), [(None, "acct_b"), ("acct_a", "acct_b"), ("acct_a", "acct_a_"), ("acct_a", 7)]
)
def test_an_event_of_an_account_that_is_not_ours_has_no_effect(world: World, ours: str | None, theirs: object) -> None:
    """S09: unknown, similar or malformed; also where the session in it is one of ours."""
    world.shop = world.deploy(payments_account=ours)
    world.note_effects(PaymentSuccessful)
    document = own_session(world, world.checkout())  # type: ignore[arg-type]
    event_id = world.hear(DONE, document, account=theirs)
    if isinstance(theirs, str):
        assert world.inbox(event_id).state is InboxState.DEAD
        assert effects(world) == (0, 0)
    else:
        # What is no account's name states none; the session is still the one that was made here, and settles once.
        assert effects(world) == (1, 1)
