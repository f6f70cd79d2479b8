"""What only a raw socket can send: hostile headers, broken lengths, slow and endless bodies, against real servers.

The server itself refuses most of it; the point is that nothing becomes a 5xx, that memory stays bounded, and that the
server goes on serving others.
"""

from __future__ import annotations

import contextlib
import time

import pytest

from payments_core.domain.signature import sign
from tests.http.apps import PREFIX
from tests.http.sockets import connect, exchange, head, read_all, resident_kib, statuses
from tests.http.targets import WEBHOOK_SECRET, Target

WEBHOOK = f"{PREFIX}/webhooks/stripe"
CREATE = f"{PREFIX}/create-checkout-session"
EVENT = b'{"id":"evt_raw","type":"customer.tax_id.updated","data":{"object":{}}}'


def is_well(server: Target) -> bool:
    return server.request("GET", "/health").status == 200 and server.webhook(EVENT).status == 200


HEADERS: dict[str, list[str | bytes]] = {
    "13 MB of signatures": ["Stripe-Signature: t=1" + ",v1=" * 3_250_000],
    "a long signature": ["Stripe-Signature: " + "v1=a," * 1500],
    "200,000 headers": [f"X-{number}: 1" for number in range(200_000)],
    "a hundred signatures": ["Stripe-Signature: t=1,v1=a"] * 90,
    "a line break in a value": [b"Stripe-Signature: t=1\rv1=a"],
    "a NUL in a value": [b"Stripe-Signature: t=1\x00,v1=a"],
    "folded": [b"Stripe-Signature: t=1,\r\n v1=a"],
    "bytes beyond ASCII": [b"Stripe-Signature: t=1,v1=\xff\xfe\xc3\xa9"],
    "UTF-8 digits": ["Stripe-Signature: t=\u0661\u0662,v1=a"],
    "no colon": [b"Stripe-Signature"],
    "a space before the colon": [b"Stripe-Signature : t=1"],
    "an empty name": [b": x"],
    "a request id beyond ASCII": [b"X-Request-Id: \xff\xfe"],
    "a traceparent beyond ASCII": [b"traceparent: \xff"],
    "a content type beyond ASCII": [b"Content-Type: \xff/\xff"],
}
LENGTHS: dict[str, tuple[list[str], bytes]] = {
    "negative": (["Content-Length: -1"], b"{}"),
    "no number": (["Content-Length: x"], b"{}"),
    "enormous": (["Content-Length: " + "9" * 30], b"{}"),
    "over the limit": (["Content-Length: 10000000"], b"{}"),
    "two different": (["Content-Length: 2", "Content-Length: 3"], b"{}}"),
    "with chunks": (["Content-Length: 2", "Transfer-Encoding: chunked"], b"2\r\n{}\r\n0\r\n\r\n"),
    "over the limit, in full": (["Content-Length: 3000000"], b"x" * 3_000_000),
    "chunk of no number": (["Transfer-Encoding: chunked"], b"zz\r\n{}\r\n0\r\n\r\n"),
    "negative chunk": (["Transfer-Encoding: chunked"], b"-2\r\n{}\r\n0\r\n\r\n"),
    "enormous chunk": (["Transfer-Encoding: chunked"], b"f" * 17 + b"\r\n{}"),
    "chunk without end": (["Transfer-Encoding: chunked"], b"2\r\n{}"),
    "nothing after a length": (["Content-Length: 2"], b""),
    "less than the length": (["Content-Length: 200"], b"{}"),
}


@pytest.mark.parametrize("path", [WEBHOOK, CREATE])
@pytest.mark.parametrize("name", HEADERS)
def test_hostile_headers_are_refused_and_the_server_goes_on(server: Target, name: str, path: str) -> None:
    """4xx or a closed connection, and the next caller is served."""
    sent = head(path, *HEADERS[name], "Content-Length: 2", "Connection: close") + b"{}"
    assert all(400 <= status < 500 for status in exchange(server, sent))
    assert is_well(server)


def test_an_unknown_transfer_coding_is_the_server_s_to_refuse(server: Target) -> None:
    """400 or, as RFC 9112 has it, 501; the application never sees it."""
    assert set(exchange(server, head(WEBHOOK, "Transfer-Encoding: x", "Connection: close") + b"{}")) <= {400, 501}
    assert is_well(server)


@pytest.mark.parametrize("path", [WEBHOOK, CREATE])
@pytest.mark.parametrize("name", LENGTHS)
def test_a_broken_length_is_refused_and_the_server_goes_on(server: Target, name: str, path: str) -> None:
    """Whatever framing a client invents, it gets a 4xx or nothing."""
    lines, body = LENGTHS[name]
    sent = head(path, "Content-Type: application/json", *lines, "Connection: close") + body
    assert all(400 <= status < 500 for status in exchange(server, sent))
    assert is_well(server)


def test_a_signed_body_in_chunks_is_received(server: Target) -> None:
    """Chunks of odd sizes, sent one by one, are the same bytes."""
    signature = sign(EVENT, WEBHOOK_SECRET, timestamp_s=int(time.time()))
    with connect(server) as connection:
        lines = (f"Stripe-Signature: {signature}", "Transfer-Encoding: chunked", "Connection: close")
        connection.sendall(head(WEBHOOK, *lines))
        for start in range(0, len(EVENT), 7):
            piece = EVENT[start : start + 7]
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")
        received = read_all(connection)
    assert statuses(received) == [200]
    assert received.endswith(b'{"received": true}')


@pytest.mark.parametrize(("path", "limit"), [(WEBHOOK, 1024 * 1024), (CREATE, 256 * 1024)])
def test_a_chunked_body_over_the_limit_is_too_large_and_not_cut_to_size(server: Target, path: str, limit: int) -> None:
    """One byte over the limit is a 413, not the first megabyte of it taken for the whole."""
    lines = ("Content-Type: application/json", "Transfer-Encoding: chunked", "Connection: close")
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (limit + 1, b"x" * (limit + 1))
    assert exchange(server, head(path, *lines) + body) == [413]


@pytest.mark.parametrize("path", [WEBHOOK, CREATE])
def test_an_endless_chunked_body_is_cut_off_in_bounded_memory(server: Target, path: str) -> None:
    """413 or a closed connection long before a hundred megabytes, which are never held."""
    assert is_well(server)
    before_kib = resident_kib(server)
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    received = b""
    with connect(server) as connection:
        connection.sendall(head(path, "Content-Type: application/json", "Transfer-Encoding: chunked"))
        # A server that neither read on nor hung up would end this in a TimeoutError.
        with contextlib.suppress(ConnectionError):
            for _ in range(1600):
                connection.sendall(chunk)
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(65536):
                received += piece
    assert set(statuses(received)) <= {413}
    assert is_well(server)
    assert resident_kib(server) - before_kib < 50 * 1024


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(server: Target) -> None:
    """The head alone is enough."""
    with connect(server) as connection:
        connection.sendall(head(WEBHOOK, "Content-Length: 10000000"))
        received = connection.recv(65536)
    assert statuses(received) == [413]


def test_slow_bodies_do_not_keep_others_waiting(server: Target) -> None:
    """Senders that stop half-way hold nothing but their own connection."""
    slow = [connect(server) for _ in range(4)]
    try:
        for connection in slow:
            connection.sendall(head(WEBHOOK, "Content-Length: 1000") + b"{")
        assert is_well(server)
    finally:
        for connection in slow:
            connection.close()
    assert is_well(server)


def test_a_compressed_body_is_not_unpacked(server: Target) -> None:
    """The signature is over the bytes as sent; a bomb stays small."""
    bomb = b"\x1f\x8b\x08\x00" + b"\x00" * 1000
    answer = server.webhook(bomb, "t=1,v1=" + "0" * 64, **{"Content-Encoding": "gzip"})
    assert (answer.status, answer.code) == (400, "invalid_signature")
    answer = server.post("/create-checkout-session", bomb, **{"Content-Encoding": "gzip"})
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


def test_an_unread_body_is_never_taken_for_the_next_request(server: Target) -> None:
    """After a 413 the connection is closed, or what follows is read from where the body ends."""
    smuggled = head(f"{PREFIX}/health", method="GET")
    body = smuggled * (2_000_000 // len(smuggled))
    sent = head(CREATE, "Content-Type: application/json", f"Content-Length: {len(body)}") + body
    assert exchange(server, sent) in ([413], [])
    assert is_well(server)


@pytest.mark.parametrize(
    "host",
    [b"", b"Host: ", b"Host: evil.example\\@x", b"Host: a b", b"Host: \xff", b"Host: a\r\nHost: b", b"Host: [::1"],
)
def test_a_malformed_host_is_no_failure(server: Target, host: bytes) -> None:
    """No URL is ever built from it."""
    lines = [f"POST {CREATE} HTTP/1.1".encode(), host, b"Content-Length: 2", b"Connection: close", b"", b"{}"]
    sent = b"\r\n".join(line for line in lines[:-2] if line) + b"\r\n\r\n{}"
    assert all(400 <= status < 500 for status in exchange(server, sent))
    assert is_well(server)


@pytest.mark.parametrize(
    "target", ["/%2e%2e/", "/..%2f", "/%00", "/%ff%fe", "/\u00e9", "/health%0d%0aX: y", "/" + "a" * 5000]
)
def test_a_malformed_path_is_no_failure(server: Target, target: str) -> None:
    """404 or 400, whatever the encoding."""
    sent = head(PREFIX + target, "Connection: close", method="GET")
    assert all(400 <= status < 500 for status in exchange(server, sent))
    assert is_well(server)
