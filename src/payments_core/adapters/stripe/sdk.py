"""Where `stripe` is used: its clients in both worlds, and what its errors say.

Requests go through the SDK's `raw_request`: keys, versions, encoding, retries and the classification of errors are the
SDK's, but the answer stays plain JSON. Building the SDK's objects costs more than reading the answer (7 ms for a page
of 100 prices), and each holds the API key, which a pickle would carry on.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import ssl
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias, TypeVar, cast
from urllib.parse import urlsplit
from weakref import WeakSet

import requests
import stripe
from attrs import frozen

from payments_core.adapters.stripe.calls import Answered, Job, Method, exact_object, json_object
from payments_core.adapters.stripe.refusals import Refusal, error_of
from payments_core.domain.stripe_objects import Document
from payments_core.drive import run_blocking
from payments_core.errors import ConfigurationError, FlowSuspendedError, StripeError, StripeUnavailable, untraced
from payments_core.ports import Io
from payments_core.settings import Settings

T = TypeVar("T")
HttpClient: TypeAlias = stripe.HTTPClient

CONNECT_S: Final = 5.0
READ_S: Final = 20.0
#: The whole request, in the asynchronous world: an answer that trickles must end too.
TOTAL_S: Final = 30.0
#: The SDK repeats failed connections, 409, 5xx and what Stripe marks. Creates carry our idempotency key.
RETRIES: Final = 2
CONCURRENT: Final = 8

#: Where what a client raises of its own comes from, when the SDK lets it through.
_TRANSPORTS: Final = ("aiohttp", "httpcore", "httpx", "requests", "urllib3", "http", "ssl", "socket")

# The SDK would write an id of this machine to the home directory and send it along.
stripe.enable_telemetry = False
# The SDK logs whole requests at DEBUG and Stripe's messages, which may quote an address, at INFO. Whoever wants that
# sets the level of the logger "stripe"; turning on one's own logs must not bring it.
if logging.getLogger("stripe").level == logging.NOTSET:
    logging.getLogger("stripe").setLevel(logging.WARNING)


class Client(Protocol):
    """What is used of `stripe.StripeClient`, whose own annotations leave the parameters open."""

    def raw_request(self, method_: str, url_: str, **params: object) -> stripe.StripeResponse:
        """One request, blocking."""
        ...

    async def raw_request_async(self, method_: str, url_: str, **params: object) -> stripe.StripeResponse:
        """One request on the running loop."""
        ...


@frozen
class Endpoint:
    """Whom to talk to and as whom, from the settings."""

    settings: Settings

    def client(self, http_client: HttpClient) -> Client:
        """An SDK client over this transport."""
        base = self.settings.stripe_api_base
        client = stripe.StripeClient(
            self.settings.stripe_secret_key.get_secret_value(),
            stripe_account=self.settings.payments_account,
            base_addresses={"api": base} if base is not None else {},
            max_network_retries=RETRIES,
            http_client=http_client,
        )
        return cast("Client", client)

    @property
    def local(self) -> bool:
        """Whether a server on this machine stands in for Stripe; the environment's proxies are not for it."""
        return self.settings.stripe_api_base is not None

    @property
    def name(self) -> str:
        """How errors name the server."""
        base = self.settings.stripe_api_base
        if base is None:
            return "Stripe"
        parts = urlsplit(base)
        return f"Stripe's stand-in (STRIPE_API_BASE, {parts.hostname}:{parts.port or parts.scheme})"


class _Thread(threading.local):
    """A thread's own client, and the process it was made in."""

    client: Client | None = None
    pid: int = 0


class BlockingCalls:
    """Requests on the calling thread, over requests. Never suspends."""

    io: Io = "blocking"

    def __init__(self, settings: Settings, http_client: HttpClient | None = None) -> None:
        self._endpoint = Endpoint(settings)
        self._given = self._endpoint.client(http_client) if http_client is not None else None
        self._thread = _Thread()
        self._sessions: WeakSet[requests.Session] = WeakSet()

    async def send(
        self, method: Method, path: str, params: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Document:
        """One request; see `Calls`."""
        options = {"idempotency_key": idempotency_key} if idempotency_key is not None else {}
        return json_object(self._answer(method, path, {**params, **options}).data, path)

    async def exact(self, path: str, params: Mapping[str, Any]) -> Document:
        """One request whose numbers stay exact; see `Calls`."""
        return exact_object(self._answer("get", path, params).body, path)

    async def answered(self, path: str) -> Answered:
        """One request and what came of it; see `Calls`."""
        client = self._client()
        try:
            answer = client.raw_request("get", path)
            return Answered(json_object(answer.data, path), answer.headers)
        except Exception as failure:  # noqa: BLE001 - the port promises StripeError and nothing else
            refused = _refused(failure, self._endpoint.name)
        return _unless_unavailable(refused)

    def _answer(self, method: Method, path: str, params: Mapping[str, Any]) -> stripe.StripeResponse:
        client = self._client()
        handled = sys.exception()
        try:
            return client.raw_request(method, path, **params)
        except Exception as failure:  # noqa: BLE001 - the port promises StripeError and nothing else
            error = translated(untraced(failure, handled=handled), self._endpoint.name)
        # Raised outside the handler: the SDK's error holds Stripe's body and must not follow as a context either.
        try:
            raise error
        finally:
            # Its traceback leads back here: a circle, which would hold what was sent until a collection of garbage.
            del error

    async def each(self, jobs: Sequence[Job[T]]) -> list[T]:
        """One after the other."""
        return [await job() for job in jobs]

    async def close(self) -> None:
        """Close the connections of all threads of this process."""
        for session in list(self._sessions):
            session.close()
        self._thread = _Thread()

    def _client(self) -> Client:
        if self._given is not None:
            return self._given
        thread, pid = self._thread, os.getpid()
        if thread.client is None or thread.pid != pid:
            # A connection inherited by fork is shared with the parent: their requests would run into one another.
            thread.client, thread.pid = self._new_client(), pid
        return thread.client

    def _new_client(self) -> Client:
        session = requests.Session()
        session.trust_env = not self._endpoint.local
        self._sessions.add(session)
        return self._endpoint.client(Requests(timeout=(CONNECT_S, READ_S), session=session))


class Requests(stripe.RequestsClient):
    """The SDK's requests client, which would not try again when an answer breaks off."""

    def request(  # type: ignore[override] # as the SDK overrides its own base
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: object = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """One attempt."""
        handled = sys.exception()
        try:
            return super().request(method, url, headers, post_data)  # pyright: ignore[reportUnknownMemberType]
        except stripe.APIConnectionError as failure:
            # Of several attempts the SDK shows only the last one's failure.
            untraced(failure, handled=handled)
            if isinstance(failure.__cause__, requests.exceptions.ChunkedEncodingError):
                failure.should_retry = True
            raise


class _Loops(threading.local):
    """A thread's event loops that have used the gateway, each with its connections. A loop stays on one thread."""

    def __init__(self) -> None:
        self.clients: dict[asyncio.AbstractEventLoop, tuple[Client, AioHttp]] = {}


class AsyncCalls:
    """Requests on the running loop, over aiohttp; every loop has its own connections."""

    io: Io = "async"

    def __init__(self, settings: Settings, http_client: HttpClient | None = None) -> None:
        if http_client is None and importlib.util.find_spec("aiohttp") is None:
            raise ConfigurationError(
                "Stripe's asynchronous client needs aiohttp; install it with: pip install 'payments-core[fastapi]'."
            )
        self._endpoint = Endpoint(settings)
        self._given = self._endpoint.client(http_client) if http_client is not None else None
        # Made here and not in the loop: it reads the certificates from a file.
        self._tls = ssl.create_default_context(cafile=stripe.ca_bundle_path) if http_client is None else None
        self._loops = _Loops()

    async def send(
        self, method: Method, path: str, params: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Document:
        """One request; see `Calls`."""
        options = {"idempotency_key": idempotency_key} if idempotency_key is not None else {}
        return json_object((await self._answer(method, path, {**params, **options})).data, path)

    async def exact(self, path: str, params: Mapping[str, Any]) -> Document:
        """One request whose numbers stay exact; see `Calls`."""
        return exact_object((await self._answer("get", path, params)).body, path)

    async def answered(self, path: str) -> Answered:
        """One request and what came of it; see `Calls`."""
        client = self._client()
        try:
            answer = await client.raw_request_async("get", path)
            return Answered(json_object(answer.data, path), answer.headers)
        except Exception as failure:  # noqa: BLE001 - the port promises StripeError and nothing else
            refused = _refused(failure, self._endpoint.name)
        return _unless_unavailable(refused)

    async def _answer(self, method: Method, path: str, params: Mapping[str, Any]) -> stripe.StripeResponse:
        client = self._client()
        handled = sys.exception()
        try:
            return await client.raw_request_async(method, path, **params)
        except Exception as failure:  # noqa: BLE001 - the port promises StripeError and nothing else
            error = translated(untraced(failure, handled=handled), self._endpoint.name)
        # Raised outside the handler: the SDK's error holds Stripe's body and must not follow as a context either.
        try:
            raise error
        finally:
            # Its traceback leads back here: a circle, which would hold what was sent until a collection of garbage.
            del error

    async def each(self, jobs: Sequence[Job[T]]) -> list[T]:
        """Together, at most `CONCURRENT` at a time; the first failure ends the others."""
        gate = asyncio.Semaphore(CONCURRENT)

        async def one(job: Job[T]) -> T:
            async with gate:
                return await job()

        tasks = [asyncio.create_task(one(job)) for job in jobs]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            await _end(tasks)

    async def close(self) -> None:
        """Close the connections of the running loop, and of loops that have ended."""
        self._forget_ended_loops()
        mine = self._loops.clients.pop(asyncio.get_running_loop(), None)
        if mine is not None:
            await mine[1].close_async()

    def _client(self) -> Client:
        if self._given is not None:
            return self._given
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise FlowSuspendedError(
                "The asynchronous Stripe gateway was called where no event loop runs; use blocking_gateway there, "
                "or Payments in place of AsyncPayments."
            ) from None
        mine = self._loops.clients.get(loop)
        if mine is None:
            self._forget_ended_loops()
            assert self._tls is not None  # noqa: S101 - there is one wherever no client was given
            transport = AioHttp(self._tls, use_proxies=not self._endpoint.local)
            mine = self._loops.clients[loop] = (self._endpoint.client(transport), transport)
        return mine[0]

    def _forget_ended_loops(self) -> None:
        for loop in [loop for loop in self._loops.clients if loop.is_closed()]:
            self._loops.clients.pop(loop)[1].abandon()


async def _end(tasks: list[asyncio.Task[T]]) -> None:
    """Cancel what is under way, and let go of all: the error of a failed one leads back to whoever keeps it."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    tasks.clear()


class AioHttp(stripe.AIOHTTPClient):
    """The SDK's aiohttp client, made inside the loop it serves.

    The SDK reads the body outside its error handling: an answer that breaks off would surface as aiohttp's own error,
    and never be tried again.
    """

    def __init__(self, tls: ssl.SSLContext, *, use_proxies: bool) -> None:
        import aiohttp

        self._own = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=use_proxies,
        )
        limits = aiohttp.ClientTimeout(total=TOTAL_S, sock_connect=CONNECT_S, sock_read=READ_S)
        super().__init__(timeout=limits, session=self._own)  # pyright: ignore[reportUnknownMemberType]

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: object = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """One attempt; a body that breaks off is a connection error like any other."""
        handled = sys.exception()
        try:
            attempt = super().request_async(method, url, headers, post_data)  # pyright: ignore[reportUnknownMemberType]
            return await attempt
        except stripe.APIConnectionError as failure:
            untraced(failure, handled=handled)
            raise
        except Exception as broken:
            error = stripe.APIConnectionError("The answer broke off.", should_retry=True)  # type: ignore[no-untyped-call]
            untraced(broken, handled=handled)
            raise error from broken

    async def close_async(self) -> None:
        """Close the connections; awaited in the loop they belong to."""
        await self._own.close()

    def abandon(self) -> None:
        """Let go of the connections of a loop that has ended: nothing is left to wait for."""
        closing = self._own.close()
        try:
            run_blocking(closing)
        except (FlowSuspendedError, RuntimeError):
            self._own.detach()


def translated(failure: Exception, where: str) -> StripeError:
    """What to raise for an exception out of the SDK. It is never chained: it holds the answer's body."""
    if isinstance(failure, stripe.StripeError):
        return error_of(_refusal(failure), where=where)
    # The SDK passes on what aiohttp raises in the middle of a body, and stumbles over one that is not UTF-8.
    if isinstance(failure, OSError | UnicodeDecodeError) or type(failure).__module__.partition(".")[0] in _TRANSPORTS:
        return error_of(Refusal(failure=type(failure).__name__), where=where)
    # The SDK trips over an error object that is none ({"error": null}), and over parameters it cannot encode.
    return StripeError(
        f"The Stripe SDK failed with {type(failure).__name__}: the parameters cannot be sent, or the answer was not of "
        "the shape that Stripe's API reference gives."
    )


def _refused(failure: Exception, where: str) -> Answered:
    """What a failure says: the error it is to us, and the headers of the answer where one came."""
    error = failure if isinstance(failure, StripeError) else translated(failure, where)
    headers: Mapping[str, object] = _headers(failure) if isinstance(failure, stripe.StripeError) else {}
    return Answered({}, {name.lower(): value for name, value in headers.items() if isinstance(value, str)}, error)


def _unless_unavailable(answered: Answered) -> Answered:
    """Raised outside the handler, for the same reason as other errors are."""
    if isinstance(answered.refusal, StripeUnavailable):
        raise answered.refusal
    return answered


def _refusal(failure: stripe.StripeError) -> Refusal:
    if isinstance(failure, stripe.APIConnectionError):
        return Refusal(failure=type(failure.__cause__).__name__ if failure.__cause__ is not None else None)
    body: object = failure.json_body
    said: object = cast("dict[str, object]", body).get("error") if isinstance(body, dict) else None
    told = cast("dict[str, object]", said) if isinstance(said, dict) else {}
    headers = _headers(failure)
    return Refusal(
        status=failure.http_status or 0,
        spoken=bool(told),
        type=_text(told.get("type")),
        code=_text(told.get("code")),
        param=_text(told.get("param")),
        request_id=_text(headers.get("request-id")),
        retry_after=_text(headers.get("retry-after")),
        replayed=_text(headers.get("idempotent-replayed")) == "true",
    )


def _headers(failure: stripe.StripeError) -> Mapping[str, object]:
    """The answer's headers; for a body that is not JSON the SDK puts them where the parsed body belongs."""
    if failure.headers:
        return failure.headers
    body: object = failure.json_body
    return cast("Mapping[str, object]", body) if isinstance(body, Mapping) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
