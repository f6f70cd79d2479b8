"""`stripe listen`: Stripe's own command-line tool takes events over a websocket and hands them to a shop itself.

The tool asks for a session (`POST /v1/stripecli/sessions`), connects to the address in the answer, gets an event as
`webhook_event` (snapshot) or `v2_event` (thin), says `event_ack`, posts it, and tells what the shop answered in a
`webhook_response`. What it filters out or cannot post it does not answer. Checked against version 1.52.0.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import msgspec
from attrs import define, evolve, field

from .deliveries import Post
from .dispatch import SendFailed
from .errors import JsonObject, invalid
from .params import Params
from .records.events import Endpoint
from .state import API_VERSION, Context

#: The tool's own word for its protocol.
SUBPROTOCOL: Final = "stripecli-devproxy-v1"
PATH: Final = "/stripecli/listen"
#: How often the tool renews its connection, and how long it may be away before it is forgotten.
RENEW_S: Final = 600
GONE_AFTER_S: Final = 30
#: What was acknowledged and not answered by then was filtered out, or nobody listens where it was to go.
ANSWER_S: Final = 3
ACK_S: Final = 10
MAX_LISTENERS: Final = 32
FEATURES: Final = {"webhooks": "snapshot", "v2_events": "thin"}

Send: TypeAlias = Callable[[str], Awaitable[None]]
Late: TypeAlias = Callable[[Post, int], None]


def open_session(context: Context, params: Params) -> JsonObject:
    """`POST /v1/stripecli/sessions`: a listener for each kind of event wanted, silent until the tool connects."""
    params.only(
        "device_name", "websocket_features", "forward_to_url", "forward_connect_to_url", "forward_thin_to_url",
        "forward_thin_connect_to_url", "filters", "device_token",
    )  # fmt: skip
    features = params.texts("websocket_features") or []
    if not features or any(name not in FEATURES for name in features):
        raise invalid("websocket_features", f"Invalid websocket_features: must be of {', '.join(FEATURES)}")
    _forget_the_oldest(context)
    session_id = context.ids.new("wsid_", 24)
    for name in features:
        context.state.endpoints.put(
            Endpoint(
                id=f"{session_id}_{name}",
                created=context.now,
                url=params.text("forward_to_url") or "",
                secret=context.state.webhook_secret,
                description="stripe listen",
                disabled=True,
                kind="listener",
                payload="thin" if name == "v2_events" else "snapshot",
            )
        )
    return {
        "websocket_url": context.base_url.replace("http", "ws", 1) + PATH,
        "websocket_id": session_id,
        "websocket_authorized_feature": ",".join(features),
        "secret": context.state.webhook_secret,
        "reconnect_delay": RENEW_S,
        "default_version": API_VERSION,
        "latest_version": API_VERSION,
        "device_token": "",
        "display_connect_filter_warning": False,
    }


def of_session(context: Context, session_id: str) -> list[Endpoint]:
    """The listeners of a session, none for one that is unknown."""
    prefix = f"{session_id}_"
    return [one for one in context.state.endpoints if one.kind == "listener" and one.id.startswith(prefix)]


def connected(context: Context, session_id: str) -> list[Endpoint]:
    """The tool is there: from now on its listeners hear of events."""
    found = of_session(context, session_id)
    return [context.state.endpoints.put(evolve(one, disabled=False, updated=None)) for one in found]


def disconnected(context: Context, session_id: str) -> None:
    """The tool has gone, perhaps to come back at once; what happens meanwhile waits."""
    for one in of_session(context, session_id):
        context.state.endpoints.put(evolve(one, updated=context.now))


def forget_gone(context: Context) -> None:
    """Drop the listeners that have not come back."""
    for one in context.state.endpoints:
        if one.kind == "listener" and one.updated is not None and one.updated + GONE_AFTER_S <= context.now:
            context.state.endpoints.drop(one.id)


def _forget_the_oldest(context: Context) -> None:
    listeners = [one for one in context.state.endpoints if one.kind == "listener"]
    idle = [one for one in listeners if one.disabled]
    for one in idle[: max(0, len(listeners) - MAX_LISTENERS)]:
        context.state.endpoints.drop(one.id)


class _Said(msgspec.Struct):
    """What is read of the tool's messages; a thin event has no conversation."""

    type: str
    webhook_conversation_id: str = ""
    event_id: str = ""
    notification_id: str = ""
    status: int | None = None


@define
class Connection:
    """One connected tool: sends posts, and matches what comes back to them."""

    forwards: bool
    _send: Send
    _late: Late
    _waiting: dict[str, asyncio.Future[int]] = field(factory=dict[str, "asyncio.Future[int]"])
    _acknowledged: dict[str, asyncio.Event] = field(factory=dict[str, asyncio.Event])
    _unanswered: dict[str, Post] = field(factory=dict[str, Post])

    async def deliver(self, post: Post) -> int:
        """Send an event; the status that the shop answered. Raises SendFailed where there was none."""
        name = post.delivery if post.payload == "snapshot" else post.event
        answer = self._waiting[name] = asyncio.get_running_loop().create_future()
        heard = self._acknowledged[name] = asyncio.Event()
        try:
            await self._send(json.dumps(message(post)))
            await asyncio.wait_for(heard.wait(), ACK_S)
            return await asyncio.wait_for(answer, ANSWER_S)
        except TimeoutError:
            self._unanswered[name] = post
            raise SendFailed("stripe listen has not answered: filtered out, or nobody listens there") from None
        except (RuntimeError, OSError):
            raise SendFailed("stripe listen went away") from None
        finally:
            self._waiting.pop(name, None)
            self._acknowledged.pop(name, None)

    def hear(self, text: str) -> None:
        """Something came from the tool; what is not understood is passed over."""
        try:
            said = msgspec.json.decode(text, type=_Said)
        except msgspec.DecodeError:
            return
        if said.type == "event_ack":
            self._acknowledge(said.webhook_conversation_id or said.event_id)
        elif said.type == "webhook_response" and said.status is not None:
            self._answer(said.webhook_conversation_id or said.notification_id, said.status)

    def _acknowledge(self, name: str) -> None:
        if (heard := self._acknowledged.get(name)) is None:
            return
        heard.set()
        waiting = self._waiting.get(name)
        if not self.forwards and waiting is not None and not waiting.done():
            waiting.set_result(200)

    def _answer(self, name: str, status: int) -> None:
        waiting = self._waiting.get(name)
        if waiting is not None and not waiting.done():
            waiting.set_result(status)
        elif (post := self._unanswered.pop(name, None)) is not None:
            self._late(post, status)


def message(post: Post) -> JsonObject:
    """An event as the tool takes it."""
    if post.payload == "thin":
        return {
            "type": "v2_event",
            "payload": post.body.decode(),
            "http_headers": post.headers,
            "event_destination_id": post.endpoint,
        }
    return {
        "type": "webhook_event",
        # With a version here the tool drops the event unless it was started for the latest.
        "endpoint": {"api_version": None},
        "event_payload": post.body.decode(),
        "http_headers": post.headers,
        "webhook_conversation_id": post.delivery,
        "webhook_id": post.endpoint,
    }
