"""A raw socket to a real server: what is sent is what was meant, byte by byte."""

from __future__ import annotations

import contextlib
import re
import socket
from pathlib import Path

from tests.http.targets import Target

DEADLINE_S = 20.0


def connect(server: Target) -> socket.socket:
    assert server.address is not None
    return socket.create_connection(server.address, timeout=DEADLINE_S)


def head(path: str, *lines: str | bytes, method: str = "POST") -> bytes:
    given = [line if isinstance(line, bytes) else line.encode() for line in lines]
    return b"\r\n".join([f"{method} {path} HTTP/1.1".encode(), b"Host: 127.0.0.1", *given, b"", b""])


def exchange(server: Target, sent: bytes) -> list[int]:
    """The statuses that come back for these bytes, until the server closes or falls silent for a moment."""
    with connect(server) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        return statuses(read_all(connection))


def reply(server: Target, sent: bytes) -> tuple[int, bytes]:
    """Status and body of the one reply to these bytes, which ask for the connection to be closed."""
    with connect(server) as connection:
        connection.sendall(sent)
        answered, _, body = read_all(connection).partition(b"\r\n\r\n")
    (status,) = statuses(answered)
    return status, body


def read_all(connection: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(OSError):
        while chunk := connection.recv(65536):
            received += chunk
    return received


def statuses(received: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"^HTTP/1\.1 (\d{3})", received, re.MULTILINE)]


def resident_kib(server: Target) -> int:
    """Memory of the server and its workers."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            fields = dict(re.findall(r"^(Pid|PPid|VmRSS):\s+(\d+)", status.read_text(), re.MULTILINE))
            if str(server.pid) in (fields["Pid"], fields["PPid"]):
                total += int(fields.get("VmRSS", 0))
    return total
