"""A request and a reply as plain values, whatever server carried them."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, TypeVar, overload

from attrs import Factory, field, frozen

REQUEST_ID_HEADER: Final = "X-Request-Id"

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# https://www.w3.org/TR/trace-context/#traceparent-header-field-values, version 00
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_NONE: Final[Mapping[str, str]] = MappingProxyType({})

T = TypeVar("T")


class Headers(Mapping[str, str]):
    """Header fields by name in any case. A repeated field is one value, joined by commas (RFC 9110, 5.3)."""

    __slots__ = ("_values",)

    def __init__(self, fields: Collection[tuple[str, str]] = ()) -> None:
        self._values = {name.lower(): value for name, value in fields}
        if len(self._values) < len(fields):
            self._values = _joined(fields)

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    @overload
    def get(self, name: str, default: None = None, /) -> str | None: ...
    @overload
    def get(self, name: str, default: str, /) -> str: ...
    @overload
    def get(self, name: str, default: T, /) -> str | T: ...
    def get(self, name: str, default: object = None, /) -> object:
        """As in any mapping, without an exception for a field that is absent: most are."""
        return self._values.get(name.lower(), default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    @property
    def size(self) -> int:
        """The characters of all names and values."""
        return sum(map(len, self._values)) + sum(map(len, self._values.values()))

    def __repr__(self) -> str:
        # Names only: values hold signatures, cookies and tokens.
        return f"Headers({', '.join(self._values)})"


def _joined(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    given: dict[str, list[str]] = {}
    for name, value in fields:
        given.setdefault(name.lower(), []).append(value)
    return {name: ",".join(values) for name, values in given.items()}


def _request_id(headers: Headers) -> str:
    given = headers.get(REQUEST_ID_HEADER, "")
    return given if given and _REQUEST_ID.fullmatch(given) else _random_uuid()


def _random_uuid() -> str:
    """A UUID of version 4 (RFC 9562, 5.4) as text: `uuid.uuid4` makes an object of it first, at five times the cost."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) % 4]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


@frozen
class HttpRequest:
    """A request. `body` is as it arrived, within the route's limit; `params` are those of the path.

    `user_id` is whom the host says is signed in. `names_users` says that the host names its users at all: then a
    visitor who is not signed in may not claim a name of his own.
    """

    method: str
    path: str
    headers: Headers
    body: bytes = field(default=b"", repr=False)
    params: Mapping[str, str] = field(default=_NONE, repr=False)
    user_id: str | None = field(default=None, repr=False)
    names_users: bool = False
    #: The other end of the connection, as the server names it; empty or a path where it is a socket in the file system.
    peer: str = field(default="", repr=False)
    #: The caller's own id where it is fit for logs, else a new one; the same for the log and the reply.
    request_id: str = field(default=Factory(lambda self: _request_id(self.headers), takes_self=True))

    @property
    def traceparent(self) -> str | None:
        """The W3C trace context, where it is one."""
        given = self.headers.get("traceparent", "")
        return given if given and _TRACEPARENT.fullmatch(given) else None


@frozen
class HttpReply:
    """A reply: status, header fields in order, body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(default=b"", repr=False)
