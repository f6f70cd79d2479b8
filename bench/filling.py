"""Tables as years of payments leave them: settled payments, their events handled and told to the world.

Bodies are as long as real ones and compress better, which makes the tables smaller and their indexes no different.
"""

from __future__ import annotations

from typing import Final

from bench.postgres import execute, number
from bench.webhooks import BODY_BYTES

_PAYMENTS: Final = """
INSERT INTO payments_payment (payment_id, created_at, livemode, state, origin, currency, session_id, amount_minor,
                              settled_at)
SELECT 'done_' || n, now() - interval '1 day', false, 'settled', 'here', 'usd', 'cs_done_' || n, 5998, now()
  FROM generate_series(1, {events}) n
"""
_REFS: Final = """
INSERT INTO payments_ref (account, livemode, kind, stripe_id, payment_id)
SELECT '', false, 'session', 'cs_done_' || n, 'done_' || n FROM generate_series(1, {events}) n
"""
_TRANSITIONS: Final = """
INSERT INTO payments_transition (payment_id, transition, discriminator, event_id, recorded_at)
SELECT 'done_' || n, 'settled', '', 'fact_' || n, now() FROM generate_series(1, {events}) n
"""
_INBOX: Final = """
INSERT INTO payments_inbox (account, livemode, event_id, type, body, state, next_at, token, attempts, lane, received_at,
                            done_at)
SELECT '', 0, 'evt_{kind}_' || n, 'checkout.session.completed', convert_to(repeat('x', {body}), 'UTF8'), {state},
       now(), 1, 1, {lane}, now(), {done_at}
  FROM generate_series(1, {events}) n
"""
_OUTBOX: Final = """
INSERT INTO payments_outbox (event_id, type, key, part, payload, payment_id, occurred_at, created_at, owed,
                             published_at)
SELECT 'fact_' || n, 'PAYMENT_SUCCESSFUL', 'done_' || n, n % 16, repeat('x', 600), 'done_' || n, now(), now(), true,
       now()
  FROM generate_series(1, {events}) n
"""
_OWED: Final = """
INSERT INTO payments_outbox (event_id, type, key, part, payload, payment_id, occurred_at, created_at, owed)
SELECT 'owed_' || n, 'payment.successful', 'owed_' || n / 2, n / 2 % 16, repeat('x', 600), 'owed_' || n / 2, now(),
       now(), true
  FROM generate_series(1, {events}) n
"""


def handled(url: str, events: int) -> None:
    """That many payments with all that belongs to them."""
    statements = [one.format(events=events) for one in (_PAYMENTS, _REFS, _TRANSITIONS, _OUTBOX)]
    done = _INBOX.format(kind="done", events=events, body=BODY_BYTES, state=2, lane="'done_' || n", done_at="now()")
    execute(url, *statements, done, "VACUUM ANALYZE")


def ready(url: str, events: int) -> None:
    """That many events that wait to be handled."""
    execute(url, _INBOX.format(kind="ready", events=events, body=BODY_BYTES, state=0, lane="NULL", done_at="NULL"))


def owed(url: str, events: int) -> None:
    """That many outgoing events that wait to be published, two to a key."""
    execute(url, _OWED.format(events=events))


def clear_owed(url: str) -> None:
    """Take away what `owed` wrote, published or not."""
    execute(url, "DELETE FROM payments_outbox WHERE key LIKE 'owed\\_%'", "VACUUM ANALYZE payments_outbox")


def clear_waiting(url: str) -> None:
    """Take away what is not handled, and leave the tables as if it had never been."""
    execute(url, "DELETE FROM payments_inbox WHERE state IN (0, 1, 3, 4)", "VACUUM ANALYZE payments_inbox")


def waiting(url: str) -> int:
    """How many events are there and not handled."""
    return number(url, "SELECT count(*) FROM payments_inbox WHERE state IN (0, 1, 4)")
