"""The bare driver's loop: the same claim, then for each event one transaction with the same three effects.

It reads the body, inserts the order, stamps the event done and writes the outgoing row; it knows no payments, no lanes
of its own and no transitions. What a worker costs beyond that is the library's.
"""

from __future__ import annotations

import json
from typing import Any, Final

import psycopg

from bench.candidates.place import begin, database_url, since

LIMIT: Final = 20
CLAIM: Final = """
WITH picked AS MATERIALIZED (
  SELECT e.seq FROM payments_inbox e WHERE e.state IN (0, 1, 4) AND e.next_at <= statement_timestamp()
     AND NOT EXISTS (SELECT 1 FROM payments_inbox p WHERE p.lane = e.lane AND p.seq <> e.seq AND p.state IN (0, 1, 4)
                     AND (p.state = 1 OR e.state <> 1 AND p.next_at <= statement_timestamp() AND p.seq < e.seq))
   ORDER BY e.next_at, e.seq LIMIT %s FOR UPDATE OF e SKIP LOCKED)
UPDATE payments_inbox i
   SET state = 1, token = token + 1, attempts = attempts + 1, next_at = statement_timestamp() + interval '30 seconds'
  FROM picked WHERE i.seq = picked.seq RETURNING i.seq, i.token, i.body
"""
_STAMP: Final = "UPDATE payments_inbox SET state = 2, done_at = now() WHERE seq = %s AND state = 1 AND token = %s"
_ORDER: Final = "INSERT INTO shop_order (session_id, amount_minor) VALUES (%s, %s)"
_OUTBOX: Final = (
    "INSERT INTO payments_outbox (event_id, type, key, part, payload, payment_id, occurred_at, created_at, owed)"
    " VALUES (%s, 'PAYMENT_SUCCESSFUL', %s, 0, %s, %s, now(), now(), false)"
)


def _handle(connection: psycopg.Connection[Any], seq: int, token: int, body: bytes) -> None:
    event = json.loads(body)
    session = event["data"]["object"]
    payment_id = session["metadata"]["payments_core_id"]
    told = {"eventType": "PAYMENT_SUCCESSFUL", "sessionId": session["id"], "amount": session["amount_total"]}
    with connection.transaction():
        if connection.execute(_STAMP, (seq, token)).rowcount != 1:
            raise RuntimeError("the lease was lost")
        connection.execute(_ORDER, (session["id"], session["amount_total"]))
        connection.execute(_OUTBOX, (event["id"], payment_id, json.dumps(told), payment_id))


def main() -> None:
    """Entry point."""
    with psycopg.connect(database_url(), autocommit=True) as connection:
        handled, begun = 0, begin()
        while claimed := connection.execute(CLAIM, (LIMIT,)).fetchall():
            for seq, token, body in claimed:
                _handle(connection, seq, token, body)
            handled += len(claimed)
        print(json.dumps({"handled": handled, **since(begun)}))


if __name__ == "__main__":
    main()
