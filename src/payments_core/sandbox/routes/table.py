"""What a route is: method and path to the one function that answers.

A handler gets the context, the request's parameters and the id in its path, and returns a Stripe object or list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from ..errors import JsonObject
from ..params import Params
from ..state import Context

Handler: TypeAlias = Callable[[Context, Params, str], JsonObject]
#: By method and path; `{}` stands for one id.
Routes: TypeAlias = Mapping[tuple[str, str], Handler]
