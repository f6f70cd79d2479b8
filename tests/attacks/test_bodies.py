"""S04: bodies that are too large, too many at once, endless, slow, compressed or of a form's type.

A body is refused by its size before it is held, by its framing before it is parsed, and it is never unpacked; what a
crowd of strangers sends at once stays within a bound on memory.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time

import pytest

from payments_core.domain.signature import sign
from tests.attacks.shops import Shop
from tests.http.apps import PREFIX
from tests.http.sockets import connect, head, read_all, resident_kib, statuses
from tests.http.targets import WEBHOOK_SECRET

WEBHOOK = f"{PREFIX}/webhooks/stripe"
CREATE = f"{PREFIX}/create-checkout-session"
CROWD = 200
TEN_MB = 10_000_000
GROWTH_KIB = 50 * 1024
DEADLINE_S = 180.0
PIECE = b"x" * 65536
CHUNK = b"10000\r\n" + PIECE + b"\r\n"


def flood(shop: Shop, beginning: bytes, piece: bytes, *, pieces: int) -> tuple[list[bytes], int]:
    """Send from two hundred connections at once, each until it is refused; replies, and the most memory seen in KiB."""
    deadline = time.monotonic() + DEADLINE_S
    most_kib = 0
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        left: dict[socket.socket, tuple[bytes, int]] = {}
        replies: dict[socket.socket, bytes] = {}
        for _ in range(CROWD):
            connection = stack.enter_context(connect(shop.server))
            connection.setblocking(False)
            left[connection], replies[connection] = (beginning, pieces), b""
            selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)
        for turn in range(10**9):
            if not selector.get_map() or time.monotonic() > deadline:
                break
            if turn % 20 == 0:
                most_kib = max(most_kib, resident_kib(shop.server))
            for key, events in selector.select(1.0):
                connection = key.fileobj  # type: ignore[assignment]
                try:
                    if events & selectors.EVENT_READ:
                        received = connection.recv(65536)
                        replies[connection] += received
                        if not received or statuses(replies[connection]):
                            selector.unregister(connection)
                            continue
                    if events & selectors.EVENT_WRITE:
                        waiting, more = left[connection]
                        if not waiting and not more:
                            selector.modify(connection, selectors.EVENT_READ)
                            continue
                        waiting, more = (waiting, more) if waiting else (piece, more - 1)
                        left[connection] = waiting[connection.send(waiting) :], more
                except (ConnectionError, BlockingIOError):
                    with contextlib.suppress(OSError):
                        replies[connection] += connection.recv(65536)
                    selector.unregister(connection)
        assert not selector.get_map(), f"{len(selector.get_map())} connections were neither answered nor closed"
    return list(replies.values()), most_kib


@pytest.mark.parametrize("path", [WEBHOOK, CREATE])
def test_two_hundred_bodies_of_ten_megabytes_at_once_are_refused_in_bounded_memory(shop: Shop, path: str) -> None:
    """413 or a closed connection by what the head says, whatever follows it."""
    assert shop.is_well()
    before_kib = resident_kib(shop.server)
    beginning = head(path, "Content-Type: application/json", f"Content-Length: {TEN_MB}")
    replies, most_kib = flood(shop, beginning, PIECE, pieces=TEN_MB // len(PIECE))
    assert {status for reply in replies for status in statuses(reply)} <= {413}
    assert most_kib - before_kib <= GROWTH_KIB
    assert shop.is_well()


@pytest.mark.parametrize("path", [WEBHOOK, CREATE])
def test_two_hundred_chunked_bodies_without_a_length_are_refused_in_bounded_memory(shop: Shop, path: str) -> None:
    """What no head announces is counted as it comes, over all connections together."""
    assert shop.is_well()
    before_kib = resident_kib(shop.server)
    beginning = head(path, "Content-Type: application/json", "Transfer-Encoding: chunked")
    replies, most_kib = flood(shop, beginning, CHUNK, pieces=TEN_MB // len(PIECE))
    assert {status for reply in replies for status in statuses(reply)} <= {413, 429}
    assert most_kib - before_kib <= GROWTH_KIB
    assert shop.is_well()


@pytest.mark.parametrize("shop", ["uvicorn"], indirect=True)
def test_two_hundred_senders_who_stop_before_the_end_hold_little_and_small_bodies_get_through(shop: Shop) -> None:
    """Each has announced less than the limit and sent most of it. (With a thread for each request, as in gunicorn, the
    threads are the bound, and a proxy in front takes slow bodies in; see the how-to guide on servers.)
    """
    assert shop.is_well()
    before_kib = resident_kib(shop.server)
    size = 1_000_000
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connect(shop.server)) for _ in range(CROWD)]
        for connection in slow:
            connection.sendall(head(WEBHOOK, f"Content-Length: {size}"))
        for _ in range(14):
            for connection in slow:
                with contextlib.suppress(ConnectionError):
                    connection.sendall(PIECE)
            assert shop.is_well()
        refused = 0
        for connection in slow:
            connection.setblocking(False)
            with contextlib.suppress(OSError):
                refused += statuses(connection.recv(65536)) == [429]
        assert refused > CROWD // 2
        assert resident_kib(shop.server) - before_kib <= GROWTH_KIB
    assert shop.is_well()


def test_a_signed_body_that_comes_piece_by_piece_is_received_in_a_crowd(shop: Shop) -> None:
    """Nobody who sends what Stripe sends is refused for the size of others."""
    body = b'{"id":"evt_pieces","type":"a","data":{"object":{"a":"' + b"x" * 20_000 + b'"}}}'
    signature = sign(body, WEBHOOK_SECRET, timestamp_s=int(time.time()))
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            large = stack.enter_context(connect(shop.server))
            large.sendall(head(WEBHOOK, "Content-Length: 1000000") + b"x" * 900_000)
        connection = stack.enter_context(connect(shop.server))
        lines = (f"Stripe-Signature: {signature}", f"Content-Length: {len(body)}", "Connection: close")
        connection.sendall(head(WEBHOOK, *lines))
        for start in range(0, len(body), 4000):
            connection.sendall(body[start : start + 4000])
        assert statuses(read_all(connection)) == [200]
