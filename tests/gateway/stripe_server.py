"""A loopback server that answers from documents as Stripe's API would, and fails as the network does.

It is strict where Stripe is: unknown objects, page sizes, what must be expanded to be seen. It knows nothing of the
gateway. Every request is recorded as it came.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Json = dict[str, Any]
COLLECTIONS = {
    "checkout/sessions": "checkout.session",
    "payment_intents": "payment_intent",
    "charges": "charge",
    "invoices": "invoice",
    "invoice_payments": "invoice_payment",
    "refunds": "refund",
    "events": "event",
    "webhook_endpoints": "webhook_endpoint",
    "products": "product",
    "prices": "price",
}
PARAMETERS = {
    "checkout.session": {"payment_intent", "created"},
    "payment_intent": {"created"},
    "invoice": {"created", "status"},
    "refund": {"created"},
    "event": {"created", "delivery_success"},
    "invoice_payment": {"invoice", "payment"},
    "product": {"ids"},
    "price": {"lookup_keys", "product", "active", "type"},
}


class Refused(Exception):
    """An answer that is Stripe's error object."""

    def __init__(self, status: int, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        kind = "idempotency_error" if code == "idempotency_error" else "invalid_request_error"
        self.status = status
        self.error = {"type": kind, "message": message, "code": None if kind == code else code, "param": param}


@dataclass
class Request:
    """A request as it came."""

    method: str
    path: str
    params: Json
    headers: dict[str, str]
    #: The client's end of the connection.
    peer: int = 0


@dataclass
class Answer:
    """What to send; `cut` ends the connection in the middle of the body, `hang` sends nothing until the end."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    hang: bool = False


class StripeServer:
    """Stripe's documents, its answers to come, and what was asked."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Json]] = {kind: {} for kind in (*COLLECTIONS.values(), "v2.core.event")}
        self.requests: list[Request] = []
        self.scripted: deque[Answer] = deque()
        #: Answers all that is not scripted, in place of the documents.
        self.always: Answer | None = None
        #: Paths that the key may not read.
        self.forbidden: set[str] = set()
        #: How far its clock is ahead of this machine's.
        self.ahead_s = 0
        #: The client's ends of all connections that are open.
        self.connections: set[int] = set()
        self.finished = threading.Event()
        #: Requests for a price wait until so many are under way; `most_at_once` is how many ever were.
        self.meeting: threading.Barrier | None = None
        self.most_at_once = 0
        self._under_way = 0
        self._keys: dict[str, tuple[Json, Json]] = {}
        self._lock = threading.Lock()
        self.url = ""

    def put(self, document: Mapping[str, Any]) -> None:
        """Have this object; nested products and prices become objects of their own."""
        kept = dict(document)
        for name, kind in (("default_price", "price"), ("product", "product")):
            nested = kept.get(name)
            if isinstance(nested, Mapping):
                kept[name] = nested["id"]
                self.objects[kind].setdefault(nested["id"], {**nested})
        self.objects[kept["object"]][kept["id"]] = kept

    def answer(self, request: Request) -> Answer:
        """The scripted answer, else the documents'."""
        with self._lock:
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)
        if self.meeting is not None and request.path.startswith("/v1/prices/"):
            self.meeting.wait(20)
        with self._lock:
            self._under_way -= 1
            self.requests.append(request)
            if self.scripted:
                return self.scripted.popleft()
            if self.always is not None:
                return self.always
            try:
                return Answer(body=json.dumps(self._respond(request), indent=2).encode())
            except Refused as refused:
                return Answer(refused.status, json.dumps({"error": refused.error}).encode())

    def _respond(self, request: Request) -> Json:
        thin = request.path.removeprefix("/v2/core/events/")
        if thin != request.path:
            return self._need("v2.core.event", thin)
        if request.path in self.forbidden:
            raise Refused(403, "The provided key does not have the required permissions for this endpoint.")
        path = request.path.removeprefix("/v1/")
        if path == "balance":
            return {"object": "balance", "livemode": False, "available": [], "pending": []}
        ending = re.fullmatch(r"checkout/sessions/([A-Za-z0-9_-]+)/expire", path)
        if ending and request.method == "POST":
            return self._expire(self._need("checkout.session", ending[1]))
        for collection, kind in COLLECTIONS.items():
            if path == collection:
                return self._create(request) if request.method == "POST" else self._list(kind, request)
            found = re.fullmatch(rf"{collection}/([A-Za-z0-9_-]+)(/line_items|/lines)?", path)
            if found:
                document = self._need(kind, found[1])
                return self._lines(document, found[2], request) if found[2] else self._whole(document, request, "")
        raise Refused(404, f"Unrecognized request URL ({request.method}: {request.path}).")

    def _need(self, kind: str, object_id: str) -> Json:
        if object_id not in self.objects[kind]:
            raise Refused(404, f"No such {kind}: '{object_id}'", code="resource_missing", param="id")
        return self.objects[kind][object_id]

    def _expire(self, session: Json) -> Json:
        if session["status"] != "open":
            raise Refused(400, 'Only Checkout Sessions with a status in ["open"] can be expired.')
        session.update(status="expired", url=None)
        return session

    def _create(self, request: Request) -> Json:
        params, key = request.params, request.headers.get("idempotency-key", "")
        if key in self._keys:
            first, made = self._keys[key]
            if first != params:
                raise Refused(400, "Keys for idempotent requests can only be used…", code="idempotency_error")
            return made
        made = _session(f"cs_test_{len(self._keys) + 1}", params)
        self.put(made)
        self._keys[key] = (params, made)
        return self._whole(made, request, "")

    def _list(self, kind: str, request: Request) -> Json:
        params = request.params
        unknown = set(params) - PARAMETERS.get(kind, set()) - {"limit", "starting_after", "expand"}
        if unknown:
            raise Refused(400, f"Received unknown parameter: {unknown}", code="parameter_unknown")
        if len(params.get("lookup_keys", {})) > 10 or len(params.get("ids", {})) > 100:
            raise Refused(400, "Array too long", code="array_too_long")
        if "ids" in params and "starting_after" in params:
            raise Refused(400, "ids cannot be used with starting_after")
        matches = _filter(params)
        # Stripe lists the newest first.
        found = [document for document in reversed(self.objects[kind].values()) if matches(document)]
        page = _page(found, params)
        return {**page, "data": [self._whole(document, request, "data.") for document in page["data"]]}

    def _lines(self, document: Json, name: str, request: Request) -> Json:
        return _page(document.get(name[1:], {}).get("data", []), request.params)

    def _whole(self, document: Json, request: Request, prefix: str) -> Json:
        expand = list(request.params.get("expand", {}).values())
        shown = {name: value for name, value in document.items() if name != "line_items"}
        if "lines" in shown:
            shown["lines"] = _page(shown["lines"]["data"], {})
        for name, kind in (("default_price", "price"), ("product", "product")):
            paths = [path for path in expand if f"{path}.".startswith(f"{prefix}{name}.")]
            if paths and shown.get(name) is not None:
                nested = self._need(kind, shown[name])
                shown[name] = self._whole(nested, request, f"{prefix}{name}.")
        if f"{prefix}currency_options" not in expand:
            shown.pop("currency_options", None)
        return shown


def _session(session_id: str, params: Json) -> Json:
    lines = []
    for number, line in params["line_items"].items():
        data, quantity = line["price_data"], int(line["quantity"])
        price = {"id": f"price_{number}", "unit_amount": int(data["unit_amount"]), "currency": data["currency"]}
        line_id, name = f"li_{number}", data["product_data"]["name"]
        lines.append({"id": line_id, "description": name, "quantity": quantity, "currency": "usd", "price": price})
    total = sum(line["quantity"] * line["price"]["unit_amount"] for line in lines)
    hosted = params.get("ui_mode", "hosted_page") == "hosted_page"
    return {
        "id": session_id,
        "object": "checkout.session",
        "mode": params["mode"],
        "status": "open",
        "payment_status": "unpaid",
        "currency": lines[0]["currency"],
        "amount_subtotal": total,
        "amount_total": total,
        "client_reference_id": params.get("client_reference_id"),
        "metadata": params.get("metadata", {}),
        "url": "https://checkout.example/pay" if hosted else None,
        "client_secret": None if hosted else "cs_secret",
        "line_items": {"data": lines},
    }


def _filter(params: Json) -> Callable[[Json], bool]:
    ids, keys = list(params.get("ids", {}).values()), list(params.get("lookup_keys", {}).values())
    exact = {
        name: params[name] for name in ("payment_intent", "invoice", "product", "type", "status") if name in params
    }
    gte, lt = (params.get("created", {}).get(bound) for bound in ("gte", "lt"))
    intent = params.get("payment", {}).get("payment_intent")

    def matches(document: Json) -> bool:
        return (
            ("ids" not in params or document["id"] in ids)
            and ("lookup_keys" not in params or document.get("lookup_key") in keys)
            and ("active" not in params or document["active"] is (params["active"] == "true"))
            and all(document.get(name) == value for name, value in exact.items())
            and (intent is None or document["payment"].get("payment_intent") == intent)
            and ("created" not in params or int(gte or 0) <= document.get("created", 0) < int(lt or 2**40))
            and (params.get("delivery_success") != "false" or document["pending_webhooks"] > 0)
        )

    return matches


def _page(found: list[Json], params: Json) -> Json:
    limit = int(params.get("limit", 10))
    if not 1 <= limit <= 100:
        raise Refused(400, "This value must be less than or equal to 100", code="parameter_invalid_integer")
    ids = [document["id"] for document in found]
    start = ids.index(params["starting_after"]) + 1 if "starting_after" in params else 0
    return {"object": "list", "data": found[start : start + limit], "has_more": len(found) > start + limit}


def tree(encoded: str) -> Json:
    """`a[b][0]=c` as nested objects."""
    root: Json = {}
    for name, value in parse_qsl(encoded, keep_blank_values=True, strict_parsing=bool(encoded)):
        first, *rest = re.findall(r"[^\[\]]+", name)
        node = root
        for key, deeper in zip([first, *rest], rest, strict=False):
            node = node.setdefault(key, {})
            first = deeper
        node[first] = value
    return root


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stripe: StripeServer

    def _serve(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        params = tree(body if self.command == "POST" else url.query)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._send(self.stripe.answer(Request(self.command, url.path, params, headers, self.client_address[1])))

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - the names that http.server calls

    def _send(self, answer: Answer) -> None:
        if answer.hang:
            self.stripe.finished.wait()
            self.close_connection = True
            return
        self.send_response(answer.status)
        # As Stripe does: the version that was asked for.
        usual = {"Content-Type": "application/json", "Stripe-Version": self.headers.get("Stripe-Version", "")}
        for name, value in {**usual, **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body) + (100 if answer.cut else 0)))
        self.end_headers()
        self.wfile.write(answer.body)
        if answer.cut:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The server's own clock."""
        return super().date_time_string(timestamp or time.time() + self.stripe.ahead_s)

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def setup(self) -> None:
        """Count the connection."""
        super().setup()
        self.stripe.connections.add(self.client_address[1])

    def finish(self) -> None:
        """It has ended."""
        self.stripe.connections.discard(self.client_address[1])
        super().finish()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A connection that the client keeps open would be waited for.
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""


@contextmanager
def running() -> Iterator[StripeServer]:
    """A server on a free loopback port, ended on leaving."""
    stripe = StripeServer()
    handler = type("Handler", (_Handler,), {"stripe": stripe})
    server = _Server(("127.0.0.1", 0), handler)
    stripe.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield stripe
    finally:
        stripe.finished.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
