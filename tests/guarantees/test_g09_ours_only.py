"""G9: an event's mode and account, where stated, must be ours; another application's payments are left alone.

Everything here is signed by Stripe: it is authentic, and still not ours to act on.
"""

from __future__ import annotations

from typing import Any

import pytest

from payments_core import PaymentSuccessful
from payments_core.domain.delivery import InboxState
from tests.flows.shop import DROPPED, intent, invoice, own_session, session
from tests.guarantees.deployment import Deployment
from tests.guarantees.world import DONE, World

OURS, THEIRS = "acct_ours", "acct_theirs"


def nothing(world: World) -> None:
    """Assert that nobody was told of anything."""
    assert (world.effects(), world.published(), world.database.transitions()) == ([], [], [])


def foreign(world: World, **fields: Any) -> dict[str, Any]:
    """A paid session at Stripe that was not made here."""
    document = session("cs_foreign", **fields)
    world.gateway.put_session(document)
    return document


def shop_of(world: World, **settings: object) -> Deployment:
    """A deployment with these settings, in place of the first one."""
    world.shop = world.deploy(**settings)
    world.note_effects(PaymentSuccessful)
    return world.shop


def test_an_event_of_the_other_mode_is_a_dead_letter_without_effect(world: World) -> None:
    """A live event at a test key: acknowledged, kept, shown, and not acted on, for a payment of ours as for any."""
    world.note_effects(PaymentSuccessful)
    paid = own_session(world, world.checkout())  # type: ignore[arg-type]
    event_id = world.hear(DONE, paid, livemode=True)
    assert world.inbox(event_id).state is InboxState.DEAD
    assert "mode" in str(world.inbox(event_id).error)
    nothing(world)


@pytest.mark.parametrize("stated", [OURS, DROPPED])
def test_an_event_of_our_account_or_of_none_is_acted_on(world: World, stated: Any) -> None:
    """What is not stated is unknown, not wrong."""
    shop_of(world, payments_account=OURS)
    paid = own_session(world, world.checkout())  # type: ignore[arg-type]
    world.hear(DONE, paid, account=stated, livemode=DROPPED)
    assert len(world.effects()) == 1


@pytest.mark.parametrize("configured", [OURS, None])
def test_an_event_of_another_account_is_a_dead_letter_without_effect(world: World, configured: str | None) -> None:
    """Also where no account is configured: then the key's own account is the only one."""
    shop_of(world, payments_account=configured)
    paid = own_session(world, world.checkout())  # type: ignore[arg-type]
    event_id = world.hear(DONE, paid, account=THEIRS)
    assert world.inbox(event_id).state is InboxState.DEAD
    nothing(world)


def test_the_same_event_id_of_two_accounts_hides_neither(world: World) -> None:
    """Ids are unique per account only: a stranger's event cannot swallow ours by bearing its id."""
    world.note_effects(PaymentSuccessful)
    paid = own_session(world, world.checkout())  # type: ignore[arg-type]
    world.hear(DONE, paid, id="evt_same", account=THEIRS)
    nothing(world)
    world.hear(DONE, paid, id="evt_same", livemode=True)
    nothing(world)
    world.hear(DONE, paid, id="evt_same")
    assert len(world.effects()) == 1


def test_another_applications_payment_is_acknowledged_and_ignored(world: World) -> None:
    """It bears the mark of an application that shares the Stripe account: no payment, no handler, no event."""
    shop_of(world, payments_app="ours")
    mark = {"payments_core_app": "theirs", "payments_core_id": "00000000-0000-0000-0000-000000000000"}
    event_id = world.hear(DONE, foreign(world, metadata=mark))
    assert world.inbox(event_id).state is InboxState.DONE
    assert world.database.payments() == {}
    nothing(world)


def test_our_own_mark_outranks_everything(world: World) -> None:
    """A payment in our database is ours, whatever name the application had when it was made."""
    opened = world.checkout()
    paid = own_session(world, opened)  # type: ignore[arg-type]
    shop_of(world, payments_app="renamed")
    world.hear(DONE, paid)
    assert len(world.effects()) == 1


@pytest.mark.parametrize("kind", ["session", "intent", "invoice"])
def test_a_payment_without_a_mark_is_told_as_foreign(world: World, kind: str) -> None:
    """Made in the Dashboard or by a subscription: told, and told apart."""
    origins: list[str] = []
    world.on(PaymentSuccessful, lambda event, _: origins.append(event.origin))
    world.hear(*unmarked(world, kind))
    assert (origins, world.kinds()) == (["foreign"], ["payment.successful"])


@pytest.mark.parametrize("kind", ["session", "intent", "invoice"])
def test_a_payment_without_a_mark_is_ignored_where_that_is_configured(world: World, kind: str) -> None:
    """`PAYMENTS_FOREIGN=ignore`: acknowledged, and nobody is told."""
    shop_of(world, payments_foreign="ignore")
    event_id = world.hear(*unmarked(world, kind))
    assert world.inbox(event_id).state is InboxState.DONE
    nothing(world)


def unmarked(world: World, kind: str) -> tuple[str, dict[str, Any]]:
    """A paid object of somebody's, and the event that tells of it."""
    if kind == "session":
        return DONE, foreign(world)
    if kind == "intent":
        document = intent("pi_foreign")
        world.gateway.put_intent(document)
        world.gateway.put_charge({"id": "ch_1", "object": "charge", "billing_details": {}})
        return "payment_intent.succeeded", document
    bill = invoice()
    world.gateway.put_invoice(bill)
    return "invoice.paid", bill
