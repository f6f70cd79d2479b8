"""The blueprint: each route of the table registered with Flask, requests and replies translated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from flask import Blueprint, Flask, Request, Response, current_app, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter

from payments_core.errors import ConfigurationError, PaymentsError, RouteNotFound
from payments_core.http.messages import Headers, HttpReply, HttpRequest
from payments_core.http.reading import check_head, cut_short, too_large
from payments_core.http.refusals import refuse, refuse_method
from payments_core.http.routes import STRIPE_WEBHOOK, Route, routes
from payments_core.http.users import user_of

if TYPE_CHECKING:
    from payments_core.app import Payments

#: Who is signed in, by the host's own reckoning; None or "" for nobody. A plain function: nothing here awaits.
UserId: TypeAlias = Callable[[Request], str | None]
View: TypeAlias = Callable[..., Any]
Decorator: TypeAlias = Callable[[View], View]


def create_blueprint(
    payments: Payments,
    *,
    webhooks: bool = True,
    user_id: UserId | None = None,
    decorators: Sequence[Decorator] = (),
    name: str = "payments",
) -> Blueprint:
    """The payment routes, to be registered under a url_prefix.

    `decorators` are the host's own guards, applied in this order, the last outermost; they hold for the create, verify
    and session routes only. `name` tells two blueprints of one application apart. Raises ConfigurationError for the
    asynchronous facade or an asynchronous `user_id`, and without a usable webhook secret unless `webhooks=False`.
    """
    from payments_core.app import Payments
    from payments_core.app.invokers import is_coroutine_function

    # Checked because not everybody runs a type checker, and the wrong twin has nothing to run on here.
    if not isinstance(payments, Payments):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("create_blueprint takes Payments; AsyncPayments is for payments_fastapi's router.")
    if user_id is not None and is_coroutine_function(user_id):
        raise ConfigurationError("user_id= is an async function, which nothing awaits in Flask; give a plain function.")
    if webhooks:
        payments.require_webhook_secret()
    else:
        payments.without_webhooks()
    blueprint = Blueprint(name, __name__)
    table = routes(webhooks=webhooks)
    for route in table:
        view = _view(payments, route, user_id if route.names_user else None)
        for decorator in decorators if route.guarded else ():
            view = decorator(view)
        blueprint.add_url_rule(
            _rule(route), route.name, view, methods=list(route.methods), provide_automatic_options=False
        )
        if route is STRIPE_WEBHOOK:
            _exempt_from_csrf(blueprint, view)
    blueprint.register_error_handler(PaymentsError, _answered)
    blueprint.record(lambda state: _refuse_the_rest(state, table))
    return blueprint


def install_error_handlers(app: Flask) -> None:
    """Answer a PaymentsError that one of the host's own views raises as the payment routes answer it."""
    app.register_error_handler(PaymentsError, _answered)


def _view(payments: Payments, route: Route, user_id: UserId | None) -> View:
    def view(**params: str) -> Response:
        # The request itself: through the proxy each look at it would find it anew.
        came: Request = cast("Any", request)._get_current_object()
        headers = _headers(came.environ)
        try:
            check_head(route, headers)
            body = _body(came, route) if route.body_limit else b""
        except PaymentsError as error:
            return _response(refuse(error, HttpRequest(came.method, came.path, headers)))
        try:
            user = None if user_id is None else user_of(user_id(came))
        except Exception as error:
            if _is_the_host_s(error, came):
                raise
            return _response(refuse(error, HttpRequest(came.method, came.path, headers)))
        asked = HttpRequest(
            came.method,
            came.path,
            headers,
            body,
            params,
            user_id=user,
            names_users=user_id is not None,
            peer=came.environ.get("REMOTE_ADDR") or "",
        )
        return _response(payments.answer(route, asked))

    view.__name__ = route.name
    return view


def _is_the_host_s(error: Exception, came: Request) -> bool:
    """Whether the host means to answer it: by `abort`, or by an error handler that it has for the error's class."""
    handlers = [current_app.error_handler_spec[name][None] for name in (*came.blueprints, None)]
    return isinstance(error, HTTPException) or any(kind in has for kind in type(error).__mro__ for has in handlers)


def _headers(environ: Mapping[str, Any]) -> Headers:
    """The header fields, as PEP 3333 has them in the environment: two without a prefix, empty where they are absent."""
    fields = {name[5:].replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        fields[name.replace("_", "-")] = environ.get(name) or ""
    return Headers(fields.items())


def _body(came: Request, route: Route) -> bytes:
    """The raw bytes, and no more of them than the route takes, however they are sent.

    Flask's own limit is set aside for this request, and forms are not parsed, so that it neither refuses in HTML nor
    empties the stream. One byte more than the limit is asked for, because Werkzeug cuts a chunked body off in silence.
    The request keeps what was read: a `user_id` may look at it too.
    """
    came.max_content_length = route.body_limit + 1
    try:
        body = came.get_data(parse_form_data=False)
    except Exception:  # noqa: BLE001 - for a body that breaks off or is framed wrongly each server has errors of its own
        raise cut_short() from None
    if len(body) > route.body_limit:
        raise too_large(route)
    return body


def _exempt_from_csrf(blueprint: Blueprint, view: View) -> None:
    """Take the webhook out of Flask-WTF's protection, where the host has it: Stripe has no token.

    Flask-WTF keeps the exempt views itself, so it is told. It is told on requests, before any `before_request` runs,
    because the host may set CSRFProtect up after it registers this blueprint.
    """

    @blueprint.url_value_preprocessor
    def exempt(_endpoint: str | None, _values: dict[str, Any] | None) -> None:
        protection: Any = current_app.extensions.get("csrf")
        if protection is not None:
            protection.exempt(view)


class _Rest(BaseConverter):
    """All that is left of a path: also nothing, and also what Werkzeug would redirect for its doubled slashes.

    Heavier than any converter of Werkzeug's, so that the host's rules come first.
    """

    part_isolating = False
    regex = ".*"
    weight = 1000


def _refuse_the_rest(state: BlueprintSetupState, table: Sequence[Route]) -> None:
    """Rules for every other method of our paths and, under a prefix, every other path.

    Flask only takes rules with named methods, Werkzeug's map any. The host's own rules are more particular, and win.
    """

    def add(rule: str, name: str, reply: Callable[[HttpRequest], HttpReply]) -> None:
        def view(**_params: str) -> Response:
            return _response(reply(_described()))

        endpoint = f"{state.name_prefix}.{state.name}.{name}".lstrip(".")
        path = f"{(state.url_prefix or '').rstrip('/')}{rule}"
        state.app.url_map.add(state.app.url_rule_class(path, endpoint=endpoint, subdomain=state.subdomain))
        state.app.view_functions[endpoint] = view

    for route in table:
        add(_rule(route), f"{route.name}_other_method", partial(refuse_method, route))
    if (state.url_prefix or "").strip("/"):
        state.app.url_map.converters["payments_rest"] = _Rest
        add("/<payments_rest:rest>", "not_found", _not_found)


def _not_found(asked: HttpRequest) -> HttpReply:
    return refuse(RouteNotFound("No payment route has this path."), asked)


def _rule(route: Route) -> str:
    return route.path.replace("{", "<").replace("}", ">")


def _answered(error: PaymentsError) -> Response:
    return _response(refuse(error, _described()))


def _described() -> HttpRequest:
    return HttpRequest(request.method, request.path, _headers(request.environ))


class _Response(Response):
    """One whose type is what the reply says: Flask's own takes even an empty one for a page."""

    default_mimetype = None


def _response(reply: HttpReply) -> Response:
    return _Response(reply.body, reply.status, headers=list(reply.headers))
