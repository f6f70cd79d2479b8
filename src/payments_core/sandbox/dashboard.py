"""The dashboard over HTTP: what the sandbox knows, and what only the outside world does. Translation only.

Its forms are taken from its own pages only: the browser says where a form comes from (`Origin`), and who does not say
so is refused. Which names the sandbox answers to is checked before (`web.HostGuard`).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from payments_core.money import Money

from . import dashboard_view as view
from . import intents
from .dashboard_tables import object_url
from .debits import FAILED
from .errors import StripeRefusal
from .page_form import fields_of
from .records.payments import Decline, PaymentIntent
from .state import Context
from .web import Pages, TooLarge, read_body, same_origin

if TYPE_CHECKING:
    from .embed import Sandbox

#: The longest step of the clock, a year.
MAX_STEP_S = 366 * 86_400
_UNITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}


class Refused(Exception):
    """Something cannot be done; the text says why."""


class Dashboard:
    """The dashboard of one sandbox."""

    def __init__(self, sandbox: Sandbox, pages: Pages) -> None:
        self._sandbox = sandbox
        self._pages = pages

    def routes(self) -> list[Route]:
        """Where it is: `/`, and the rest under `/dashboard`."""
        return [
            Route("/", self.front, methods=["GET"]),
            Route("/dashboard/events/{key}", self.event, methods=["GET"]),
            Route("/dashboard/objects/{key}", self.thing, methods=["GET"]),
            Route("/dashboard/act", self.act, methods=["POST"]),
            Route("/dashboard/{name}", self.listing, methods=["GET"]),
        ]

    async def front(self, request: Request) -> Response:
        """Everything at a glance."""
        return self._front(_said(request))

    async def listing(self, request: Request) -> Response:
        """One list."""
        name = request.path_params["name"]
        table = self._sandbox.do(lambda context: view.listing(context, name))
        if table is None:
            return self._unknown()
        return self._pages.show("dashboard_list.html", table=table, said=_said(request), refused=None, here=name)

    async def thing(self, request: Request) -> Response:
        """One object."""
        return self._sheet(request.path_params["key"], view.sheet, _said(request))

    async def event(self, request: Request) -> Response:
        """One event."""
        return self._sheet(request.path_params["key"], view.event_sheet, _said(request))

    async def act(self, request: Request) -> Response:
        """Do something, then show where it was asked for."""
        if not same_origin(request):
            return self._pages.message(
                403,
                "Not from here",
                "The dashboard takes forms from its own pages only. For anything else there are the API and `Sandbox`.",
            )
        try:
            one = fields_of(await read_body(request))
        except (TooLarge, ValueError):
            return self._pages.message(413, "Too much was sent", "No form of the dashboard is that large.")
        action, key = one("action"), one("id", 255)
        try:
            await self._do(action, key, one)
        except (Refused, StripeRefusal, ValueError) as refusal:
            return self._refused(key, str(refusal))
        await self._sandbox.first_deliveries()
        back = object_url(quote(key, safe="")) if key else "/"
        return RedirectResponse(f"{back}?done={quote(action)}", status_code=303, headers={"Cache-Control": "no-store"})

    async def _do(self, action: str, key: str, one: Callable[..., str]) -> None:
        if action == "advance":
            await self._sandbox.advance_and_deliver(_step_s(one("count", 12), one("unit")))
        elif action == "resend":
            self._sandbox.resend(key, one("endpoint") or None)
        elif action == "expire":
            self._sandbox.expire(key)
        elif action in ("refund", "dispute", "settle", "fail", "pass", "reject"):
            amount = one("amount", 40)
            self._on_intent(action, self._sandbox.do(lambda context: _intent(context, key)), amount)
        else:
            raise Refused("There is no such action.")

    def _on_intent(self, action: str, intent: PaymentIntent, amount: str) -> None:
        def settle(decline: Decline | None) -> None:
            self._sandbox.do(lambda context: intents.settle(context, context.state.intents.need(intent.id), decline))

        if action == "refund":
            self._sandbox.refund(intent.id, _minor(amount, intent.currency) if amount else None)
        elif action == "dispute":
            self._sandbox.dispute(intent.id)
        elif action in ("settle", "fail"):
            settle(FAILED if action == "fail" else None)
        else:
            self._sandbox.authenticate(intent.id, passed=action == "pass")

    def _front(self, said: str | None, refused: str | None = None) -> Response:
        found = self._sandbox.do(lambda context: view.front(context, self._sandbox.ahead_s))
        code = 422 if refused else 200
        return self._pages.show("dashboard.html", code, front=found, said=said, refused=refused, here="")

    def _sheet(
        self,
        key: str,
        look: Callable[[Context, str], view.Sheet | None],
        said: str | None,
        refused: str | None = None,
    ) -> Response:
        found = self._sandbox.do(lambda context: look(context, key))
        if found is None:
            return self._unknown()
        code = 422 if refused else 200
        return self._pages.show("dashboard_object.html", code, sheet=found, said=said, refused=refused, here=None)

    def _refused(self, key: str, why: str) -> Response:
        if not key:
            return self._front(None, why)
        return self._sheet(key, view.event_sheet if key.startswith("evt_") else view.sheet, None, why)

    def _unknown(self) -> Response:
        text = "The address is incomplete, or the object was forgotten: the sandbox keeps so many of each kind."
        return self._pages.message(404, "Nothing is known under this name", text, back="/")


def _said(request: Request) -> str | None:
    return view.DONE.get(request.query_params.get("done", ""))


def _intent(context: Context, key: str) -> PaymentIntent:
    """The payment intent that is named, itself or by its session."""
    session = context.state.sessions.get(key)
    if session is not None and session.payment_intent is None:
        raise Refused("Nobody has tried to pay this session yet.")
    return context.state.intents.need((session.payment_intent if session else None) or key, "id")


def _minor(text: str, currency: str) -> int:
    try:
        return Money.of(Decimal(text.replace(",", "")), currency).minor
    except InvalidOperation:
        raise Refused(f"Write an amount in {currency.upper()}, as 12.50, or nothing for all of it.") from None


def _step_s(count: str, unit: str) -> int:
    if not count.isascii() or not count.isdigit() or unit not in _UNITS:
        raise Refused("Write a whole number and choose a unit.")
    seconds = int(count) * _UNITS[unit]
    if seconds > MAX_STEP_S:
        raise Refused("The clock is moved by a year at most.")
    return seconds
