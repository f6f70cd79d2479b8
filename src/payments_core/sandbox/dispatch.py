"""Sending deliveries: the only part of the sandbox that opens connections. What is due is decided in `deliveries`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

TIMEOUT_S = 10


class Sender(Protocol):
    """Makes one POST.

    Obligations: send the bytes and headers unchanged, follow no redirect, give up after 10 s, return the HTTP
    status, and raise `SendFailed` where there was none.
    """

    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The reply's status."""
        ...


class SendFailed(Exception):
    """No HTTP status came back; the text says why in a few words."""


async def send(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """A Sender over aiohttp; neither proxies of the environment nor cookies play a part."""
    import aiohttp

    try:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.post(url, data=body, headers=dict(headers), allow_redirects=False) as reply,
        ):
            return reply.status
    except TimeoutError:
        raise SendFailed(f"no answer within {TIMEOUT_S} s") from None
    except aiohttp.ClientConnectorError:
        raise SendFailed("connection refused or host unknown") from None
    except (aiohttp.ClientError, ValueError, OSError) as error:
        raise SendFailed(type(error).__name__) from None
