"""One API request from bytes to reply: key, version, idempotency, parameters, route, expansion. No framework here.

`open` does what must happen at once and hands back either a finished reply or an `Opened` request; `run` does the
work. Between the two a host may let time pass, and it is then that a second request with the same idempotency key
is told to wait.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from urllib.parse import unquote

from attrs import frozen

from . import expansion, form, jsonbody, routes, timetable
from .chaos import CALM, Chaos
from .errors import JsonObject, StripeRefusal, invalid, unrecognized
from .idempotency import Fingerprint, IdempotencyKeys, SavedReply
from .ids import IdSource
from .params import Params
from .records.events import Origin
from .state import API_VERSION, Context, State

MAX_BODY_BYTES = 1_000_000
#: The first version without `payment_method_types`.
ENDIVE = "2026-09-30"
_VERSION = re.compile(r"(\d{4}-\d{2}-\d{2})(\.[a-z_]+)?(;.*)?")
_TEST_KEY = re.compile(r"(sk|rk)_test_\w+")


@frozen
class ApiRequest:
    """A request as it came. `path` is still percent-encoded, header names are in lower case."""

    method: str
    path: str
    query: str
    body: bytes
    headers: Mapping[str, str]


@frozen
class ApiReply:
    """What goes back, as JSON."""

    status: int
    body: JsonObject
    headers: Mapping[str, str]


@frozen
class Opened:
    """A request that may be carried out."""

    handler: routes.Handler
    object_id: str
    tree: form.Tree
    origin: Origin
    version: str
    lenient: bool


class Api:
    """The `/v1` surface and the parts of `/v2` over one state."""

    def __init__(self, state: State, ids: IdSource) -> None:
        self._state = state
        self._ids = ids
        self._keys = IdempotencyKeys(state.keys)

    def open(self, request: ApiRequest, now: int) -> Opened | ApiReply:
        """Check key, route and encoding, and take the idempotency key. A reply means the request is over."""
        request_id = self._ids.new("req_", 14)
        version = request.headers.get("stripe-version", API_VERSION)
        try:
            return self._admit(request, request_id, version, now)
        except StripeRefusal as refusal:
            return _refused(refusal, request_id, version)

    def run(self, opened: Opened, now: int, base_url: str, chaos: Chaos = CALM) -> ApiReply:
        """Do the work of an admitted request."""
        context = Context(
            self._state, now, self._ids, base_url, origin=opened.origin, lenient=opened.lenient, chaos=chaos
        )
        request_id, key = opened.origin.request_id or "", opened.origin.idempotency_key
        try:
            timetable.catch_up(context)
            with self._state.whole_or_not():
                body = _answer(context, opened)
        except StripeRefusal as refusal:
            return self._refuse(refusal, opened)
        except BaseException:
            self.abandon(opened)
            raise
        headers = _headers(request_id, opened.version)
        if key is not None:
            self._keys.save(key, SavedReply(200, body, request_id))
            headers["Idempotency-Key"] = key
        return ApiReply(200, body, headers)

    def abandon(self, opened: Opened) -> None:
        """Give up an admitted request that changed nothing, so that its idempotency key may be used again."""
        if opened.origin.idempotency_key is not None:
            self._keys.release(opened.origin.idempotency_key)

    def _refuse(self, refusal: StripeRefusal, opened: Opened) -> ApiReply:
        """A refusal after something was done (a declined card) belongs to the key; any other has been undone."""
        request_id, key = opened.origin.request_id or "", opened.origin.idempotency_key
        reply = _refused(refusal, request_id, opened.version)
        if key is None or not refusal.executed:
            self.abandon(opened)
            return reply
        self._keys.save(key, SavedReply(reply.status, reply.body, request_id))
        return ApiReply(reply.status, reply.body, {**reply.headers, "Idempotency-Key": key})

    def _admit(self, request: ApiRequest, request_id: str, version: str, now: int) -> Opened | ApiReply:
        _check_key(request.headers.get("authorization", ""))
        date = _version_date(version)
        found = routes.find(request.method, [unquote(part) for part in request.path.split("/")[1:]])
        if found is None:
            raise unrecognized(request.method, unquote(request.path)[:200])
        _, handler, object_id = found
        tree = _parameters(request)
        if "stripe-request-trigger" in request.headers:
            # stripe-python 16.1 sends a note to itself along when it fetches a notification's event asynchronously.
            tree.pop("usage", None)
        key = request.headers.get("idempotency-key") if _keeps_key(request) else None
        if key is not None:
            saved = self._keys.begin(key, Fingerprint(request.path, tree), now)
            if saved is not None:
                return _replayed(saved, request_id, version, key)
        # Without a version the account's own counts; but old tools send none and still name the old parameter.
        lenient = "stripe-version" not in request.headers or date < ENDIVE
        return Opened(handler, object_id, tree, Origin(request_id, key), version, lenient)


def _answer(context: Context, opened: Opened) -> JsonObject:
    tree = dict(opened.tree)
    paths = Params(tree).texts("expand") or []
    tree.pop("expand", None)
    shape = opened.handler(context, Params(tree), opened.object_id)
    return expansion.expand(context, shape, paths)


def _keeps_key(request: ApiRequest) -> bool:
    """Idempotency keys belong to POST, and to DELETE in v2."""
    return request.method == "POST" or (request.method == "DELETE" and request.path.startswith("/v2/"))


def _parameters(request: ApiRequest) -> form.Tree:
    if len(request.body) > MAX_BODY_BYTES:
        raise StripeRefusal("The request body is larger than 1 MB.", status=413)
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if request.path.startswith("/v2/"):
        return _v2_parameters(request, kind)
    if request.body and kind not in ("", "application/x-www-form-urlencoded"):
        raise StripeRefusal(
            f"Invalid request: v1 takes application/x-www-form-urlencoded, not {kind[:60]}. "
            "Multipart and JSON bodies are not implemented by the sandbox."
        )
    try:
        body = request.body.decode("utf-8")
    except UnicodeDecodeError:
        raise StripeRefusal("Invalid request: the body is not valid UTF-8.") from None
    return form.decode("&".join(part for part in (request.query, body) if part))


def _v2_parameters(request: ApiRequest, kind: str) -> form.Tree:
    if request.body and kind != "application/json":
        raise StripeRefusal(f"Invalid request: v2 takes application/json, not {kind[:60] or 'a body without a type'}.")
    return {**form.decode(request.query), **jsonbody.decode(request.body)}


def _check_key(header: str) -> None:
    """Only test keys, and no word of what was sent instead."""
    scheme, _, value = header.partition(" ")
    key = value.strip()
    if scheme.lower() == "basic":
        key = _basic_user(key)
    elif scheme.lower() != "bearer" or not key:
        raise StripeRefusal(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using "
            "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
            status=401,
        )
    if key.startswith(("sk_live_", "rk_live_")):
        raise StripeRefusal(
            "A live key was sent to the payments-core sandbox, which takes test keys only. It was not used or "
            "stored; point live keys at Stripe itself.",
            status=401,
        )
    if not _TEST_KEY.fullmatch(key):
        raise StripeRefusal(
            "Invalid API Key provided. The sandbox takes any key that starts with sk_test_ or rk_test_.",
            status=401,
        )


def _basic_user(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode().split(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _version_date(version: str) -> str:
    found = _VERSION.fullmatch(version)
    if found is None:
        raise invalid("Stripe-Version", f"Invalid Stripe API version: {version[:40]}")
    return found[1]


def _headers(request_id: str, version: str) -> dict[str, str]:
    return {
        "Request-Id": request_id,
        "Stripe-Version": version if version.isascii() and version.isprintable() else API_VERSION,
        "Cache-Control": "no-cache, no-store",
    }


def _refused(refusal: StripeRefusal, request_id: str, version: str) -> ApiReply:
    headers = _headers(request_id, version)
    if refusal.status == 409:
        headers["Stripe-Should-Retry"] = "true"
    return ApiReply(refusal.status, refusal.body(), headers)


def _replayed(saved: SavedReply, request_id: str, version: str, key: str) -> ApiReply:
    headers = _headers(request_id, version)
    headers |= {
        "Idempotency-Key": key,
        "Idempotent-Replayed": "true",
        "Original-Request": saved.request_id,
    }
    return ApiReply(saved.status, saved.body, headers)
