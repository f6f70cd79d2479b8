"""What Stripe's command-line tool asks for itself."""

from __future__ import annotations

from .. import listeners
from ..errors import JsonObject
from ..params import Params
from ..state import Context
from .table import Routes


def open_session(context: Context, params: Params, _: str) -> JsonObject:
    """`POST /v1/stripecli/sessions`, by `stripe listen`."""
    return listeners.open_session(context, params)


ROUTES: Routes = {("POST", "/v1/stripecli/sessions"): open_session}
