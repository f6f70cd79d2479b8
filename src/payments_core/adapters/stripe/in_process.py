"""The SDK's HTTP client over a function of this process: no socket, no thread, no waiting, the same in both worlds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar, TypeAlias

import stripe

#: Answers a request: method, URL, headers by lower-case names, body; gives back status, headers and body.
Answer: TypeAlias = "Callable[[str, str, Mapping[str, str], bytes], tuple[int, Mapping[str, str], bytes]]"


class InProcessClient(stripe.HTTPClient):
    """Hands every request of the SDK to `answer`, which must not block.

    One client serves `StripeClient`s of any number, their plain methods and their `_async` ones, on any event loop.
    """

    name: ClassVar[str] = "in_process"

    def __init__(self, answer: Answer) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]
        self._answer = answer

    def request(  # type: ignore[override] # as the SDK overrides its own base
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: object = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """One attempt."""
        body = post_data.encode() if isinstance(post_data, str) else post_data
        sent = {name.lower(): str(value) for name, value in (headers or {}).items()}
        status, given, content = self._answer(method.upper(), url, sent, body if isinstance(body, bytes) else b"")
        # The SDK looks for lower-case names, and trusts that its clients do not mind.
        return content, status, {name.lower(): value for name, value in given.items()}

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: object = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """One attempt; it never suspends."""
        return self.request(method, url, headers, post_data)

    def sleep_async(self, secs: float) -> Awaitable[None]:
        """Wait between two attempts."""
        return asyncio.sleep(secs)

    def close(self) -> None:
        """Nothing is open."""

    async def close_async(self) -> None:
        """Nothing is open."""
