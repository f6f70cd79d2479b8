"""Stripe's side: signed webhooks over a few connections that stay open, and what was answered to each."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPConnection, HTTPException
from typing import Final

from chaos.crashworld import SECRET
from chaos.powerserver import PREFIX
from payments_core.domain.signature import sign

_CONNECTIONS: Final = 6
_TIMEOUT_S: Final = 60


def event_id(number: int) -> str:
    """The id of an event; of equal length for each, so that none is the beginning of another."""
    return f"evt_power_{number:06d}"


def deliver(port: int, numbers: Sequence[int]) -> dict[str, int | None]:
    """Send these events, several at once; the status by event id, None where no answer came."""
    shares = [share for share in (numbers[start::_CONNECTIONS] for start in range(_CONNECTIONS)) if share]
    with ThreadPoolExecutor(len(shares) or 1) as senders:
        answered = senders.map(partial(_send, port), shares)
        return {name: status for answers in answered for name, status in answers.items()}


def _send(port: int, numbers: Sequence[int]) -> dict[str, int | None]:
    connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    answers: dict[str, int | None] = {}
    try:
        for number in numbers:
            answers[event_id(number)] = _post(connection, _body(number))
    finally:
        connection.close()
    return answers


def _post(connection: HTTPConnection, body: bytes) -> int | None:
    headers = {"Stripe-Signature": sign(body, SECRET, timestamp_s=int(time.time())), "Content-Type": "application/json"}
    try:
        connection.request("POST", f"{PREFIX}/webhooks/stripe", body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, HTTPException):
        # A server may close an idle connection at any time; the next request opens another.
        connection.close()
        return None


def _body(number: int) -> bytes:
    document = {
        "id": event_id(number),
        "object": "event",
        "livemode": False,
        "type": "customer.created",
        "data": {"object": {"id": f"cus_{number}", "object": "customer"}},
    }
    return json.dumps(document).encode()
