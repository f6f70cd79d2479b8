"""The buyer's pages over HTTP: the payment page, in a frame or not, and the card issuer's page. Translation only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from . import page
from .errors import StripeRefusal
from .records.checkout import Session
from .state import Context
from .web import Pages, TooLarge, read_body

if TYPE_CHECKING:
    from .embed import Sandbox

Find: TypeAlias = Callable[[Context, str], Session]
Look: TypeAlias = Callable[[Context, str], page.Outcome]
Send: TypeAlias = Callable[[Context, str, bytes], page.Outcome]
Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


class CheckoutPages:
    """The pages of one sandbox."""

    def __init__(self, sandbox: Sandbox, pages: Pages) -> None:
        self._sandbox = sandbox
        self._pages = pages

    def routes(self) -> list[Route]:
        """Where they are: `/c/pay` by session id, `/c/embed` by client secret, `/c/challenge` by payment intent."""
        hosted, framed = self._of_sessions("/c/pay", page.hosted), self._of_sessions("/c/embed", page.embedded)
        challenge = "/c/challenge/{key}"
        return [
            *hosted,
            *framed,
            Route(challenge, self._look(page.challenge), methods=["GET"]),
            Route(challenge, self._send(page.answer_challenge), methods=["POST"]),
        ]

    def _of_sessions(self, prefix: str, find: Find) -> list[Route]:
        def sent(work: Callable[[Context, Session, bytes], page.Outcome]) -> Endpoint:
            return self._send(lambda context, key, body: work(context, find(context, key), body))

        path = f"{prefix}/{{key}}"
        return [
            Route(path, self._look(lambda context, key: page.show(context, find(context, key))), methods=["GET"]),
            Route(path, sent(page.submit), methods=["POST"]),
            Route(f"{path}/promotion", sent(page.promote), methods=["POST"]),
            Route(f"{path}/shipping", sent(page.choose_shipping), methods=["POST"]),
            Route(f"{path}/{{form}}", self._look(lambda context, key: page.show(context, find(context, key)))),
        ]

    def _look(self, work: Look) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            key = request.path_params["key"]
            try:
                return self._answer(self._sandbox.do(lambda context: work(context, key)))
            except StripeRefusal:
                return self._unknown()

        return endpoint

    def _send(self, work: Send) -> Endpoint:
        """A form. The answer waits for the first deliveries of what it caused, as Stripe's does.

        A decline waits as well: its news is then out before the next attempt can make any.
        """

        async def endpoint(request: Request) -> Response:
            key = request.path_params["key"]
            try:
                body = await read_body(request)
                outcome = self._sandbox.do(lambda context: work(context, key, body))
            except StripeRefusal:
                return self._unknown()
            except (TooLarge, ValueError):
                text = "This form cannot be that large. Go back and try again."
                return self._pages.message(413, "Too much was sent", text)
            await self._sandbox.first_deliveries()
            return self._answer(outcome)

        return endpoint

    def _answer(self, outcome: page.Outcome) -> Response:
        match outcome:
            case page.Redirect():
                return RedirectResponse(outcome.url, status_code=303, headers={"Cache-Control": "no-store"})
            case page.Gone():
                return self._pages.message(
                    410,
                    "This payment page has expired",
                    f"Your order at {outcome.seller} was not paid. Go back to the shop and check out again.",
                    back=outcome.cancel_url,
                    framed=outcome.framed,
                )
            case page.Ask():
                return self._pages.show("challenge.html", framed=outcome.framed, ask=outcome)
            case page.Done():
                return self._pages.show("done.html", framed=True, done=outcome)
            case page.Show():
                return self._pages.show("pay.html", outcome.status, framed=outcome.view.framed, view=outcome.view)

    def _unknown(self) -> Response:
        return self._pages.message(
            404,
            "There is no such payment page",
            "The address is incomplete, or the sandbox was restarted without a state file since.",
        )
