"""A request and a reply as plain values, whatever server carried them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from uuid import uuid4

from attrs import Factory, field, frozen

REQUEST_ID_HEADER: Final = "X-Request-Id"

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# https://www.w3.org/TR/trace-context/#traceparent-header-field-values, version 00
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Headers(Mapping[str, str]):
    """Header fields by name in any case. A repeated field is one value, joined by commas (RFC 9110, 5.3)."""

    __slots__ = ("_values",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        values: dict[str, str] = {}
        for name, value in fields:
            key = name.lower()
            values[key] = f"{values[key]},{value}" if key in values else value
        self._values = values

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        # Names only: values hold signatures, cookies and tokens.
        return f"Headers({', '.join(self._values)})"


def _request_id(headers: Headers) -> str:
    given = headers.get(REQUEST_ID_HEADER, "")
    return given if _REQUEST_ID.fullmatch(given) else str(uuid4())


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
    params: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    user_id: str | None = field(default=None, repr=False)
    names_users: bool = False
    #: The caller's own id where it is fit for logs, else a new one; the same for the log and the reply.
    request_id: str = field(default=Factory(lambda self: _request_id(self.headers), takes_self=True))

    @property
    def traceparent(self) -> str | None:
        """The W3C trace context, where it is one."""
        given = self.headers.get("traceparent", "")
        return given if _TRACEPARENT.fullmatch(given) else None


@frozen
class HttpReply:
    """A reply: status, header fields in order, body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(default=b"", repr=False)
