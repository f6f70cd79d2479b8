"""The only module that knows the Stripe SDK: its clients, its calls and its exceptions.

One seam for both worlds: `call("checkout.sessions.create", …)` runs that service method and gives back plain
dictionaries. Objects of the SDK go no further; they are no dictionaries, and a pickled one holds the API key.

The SDK's telemetry is switched off: it writes a file under the user's home from within requests, on the loop too.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any, Protocol, cast
from weakref import WeakKeyDictionary

import stripe

from payments_core.adapters.stripe.failures import Refusal, safe_name, translated
from payments_core.errors import ConfigurationError, StripeError
from payments_core.ports import Io
from payments_core.settings import Settings

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 20
#: The SDK's own retries within one call: connection errors, 409 and 5xx. Every create carries our idempotency key.
NETWORK_RETRIES = 2

stripe.enable_telemetry = False


class Caller(Protocol):
    """Runs one SDK service method. Raises StripeError and its kinds, nothing else."""

    io: Io

    async def call(self, method: str, *arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - ids, parameters, options
        """The answer of `client.v1.<method>(*arguments)` as plain dictionaries."""
        ...

    async def close(self) -> None:
        """Give back every connection."""
        ...


class BlockingCaller:
    """The synchronous SDK, on the caller's thread. A forked process gets a client of its own."""

    io: Io = "blocking"

    def __init__(self, settings: Settings, http_client: object | None) -> None:
        self._settings = settings
        self._given = http_client
        self._client: stripe.StripeClient | None = None
        self._process: int | None = None

    async def call(self, method: str, *arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - see Caller
        """See Caller."""
        try:
            answer = _method(self._of_this_process(), method)(*arguments)
            return _plain(answer)
        except stripe.StripeError as failure:
            raise _translated(failure) from None

    async def close(self) -> None:
        """See Caller."""
        client, self._client = self._client, None
        if client is not None and self._given is None:
            _http_client(client).close()

    def _of_this_process(self) -> stripe.StripeClient:
        if self._client is None or self._process != os.getpid():
            transport = self._given or stripe.RequestsClient(timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S))
            self._client = _client(self._settings, transport)
            self._process = os.getpid()
        return self._client


class AsyncCaller:
    """The SDK over aiohttp: one client for each event loop, since a connection cannot change loops."""

    io: Io = "async"

    def __init__(self, settings: Settings, http_client: object | None) -> None:
        self._settings = settings
        self._given = http_client
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, stripe.StripeClient] = WeakKeyDictionary()
        if http_client is None:
            _require_aiohttp()

    async def call(self, method: str, *arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - see Caller
        """See Caller."""
        try:
            answer = await _method(self._of_this_loop(), f"{method}_async")(*arguments)
            return _plain(answer)
        except stripe.StripeError as failure:
            raise _translated(failure) from None
        except (OSError, TimeoutError, *_aiohttp_errors()):
            # The SDK reads an answer's body outside its own try: a connection cut there comes out as it is.
            raise translated(Refusal(status=None)) from None

    async def close(self) -> None:
        """See Caller."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None and self._given is None:
            await _http_client(client).close_async()

    def _of_this_loop(self) -> stripe.StripeClient:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = _client(self._settings, self._given or _aiohttp_client())
            self._clients[loop] = client
        return client


def _client(settings: Settings, transport: object) -> stripe.StripeClient:
    base = settings.stripe_api_base
    return stripe.StripeClient(
        settings.stripe_secret_key.get_secret_value(),
        stripe_account=settings.payments_account,
        base_addresses={"api": base} if base else {},
        max_network_retries=NETWORK_RETRIES,
        http_client=cast("stripe.HTTPClient", transport),
    )


def _method(client: stripe.StripeClient, path: str) -> Any:  # noqa: ANN401 - any of the SDK's service methods
    found: Any = client.v1
    for name in path.split("."):
        found = getattr(found, name)
    return found


def _plain(answer: Any) -> dict[str, Any]:  # noqa: ANN401 - any of the SDK's objects
    return cast("dict[str, Any]", answer.to_dict())


def _http_client(client: stripe.StripeClient) -> Any:  # noqa: ANN401 - the SDK gives no public way to close it
    return cast("Any", client)._requestor._client


def _translated(failure: stripe.StripeError) -> StripeError:
    error: Any = failure.error
    headers: dict[str, Any] = dict(cast("Any", failure.headers) or {})
    after = str(headers.get("retry-after") or headers.get("Retry-After") or "")
    return translated(
        Refusal(
            status=failure.http_status,
            code=safe_name(getattr(error, "code", None)) or safe_name(failure.code),
            param=safe_name(getattr(error, "param", None)),
            request_id=safe_name(failure.request_id),
            retry_after_s=int(after) if after.isascii() and after.isdigit() else None,
        )
    )


def _require_aiohttp() -> None:
    try:
        import aiohttp  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            "AsyncPayments talks to Stripe over aiohttp, which is not installed; pip install 'payments-core[fastapi]'."
        ) from None


def _aiohttp_client() -> object:
    import aiohttp

    return stripe.AIOHTTPClient(timeout=aiohttp.ClientTimeout(total=READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S))


def _aiohttp_errors() -> tuple[type[Exception], ...]:
    try:
        import aiohttp
    except ImportError:
        return ()
    return (aiohttp.ClientError,)


BlockingCalls, AsyncCalls, HttpClient = BlockingCaller, AsyncCaller, object
