"""From the bytes of a request to the JSON value in them, or the error that says why not."""

from __future__ import annotations

import re
from typing import Final

from payments_core.domain.strict_json import Json, read_json
from payments_core.errors import MalformedJson, PayloadTooLarge, UnsupportedMediaType
from payments_core.http.messages import Headers, HttpRequest
from payments_core.http.routes import HEADERS_LIMIT_BYTES, Route

# RFC 9110, 8.3.1: a media type and parameters, of which only the charset means anything for JSON (RFC 8259, 8.1).
_PARAMETER = re.compile(r"""\s*(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?P<value>"[^"]*"|[^\s;"]+)\s*""")
_LENGTH = re.compile(r"[0-9]{1,18}")
_KIB: Final = 1024


def check_head(route: Route, headers: Headers) -> None:
    """Raise PayloadTooLarge for header fields over the limit, or a body that says it is over the route's.

    Before any of the body is read. Servers have limits of their own, some of them far above this one.
    """
    if headers.size > HEADERS_LIMIT_BYTES:
        raise PayloadTooLarge(
            f"The header fields have more than {HEADERS_LIMIT_BYTES // _KIB} KiB; send less (fewer cookies)."
        )
    declared = headers.get("content-length", "")
    if _LENGTH.fullmatch(declared) and int(declared) > route.body_limit:
        raise too_large(route)


def too_large(route: Route) -> PayloadTooLarge:
    """The error for a body over the route's limit."""
    if not route.body_limit:
        return PayloadTooLarge("This route takes no body; send none.")
    return PayloadTooLarge(f"The body has more than {route.body_limit // _KIB} KiB; send less.")


def cut_short() -> MalformedJson:
    """The error for a body that ended before its sender said it would."""
    return MalformedJson("The body ended early; send it again.")


def json_body(request: HttpRequest) -> Json:
    """The JSON value of the body. Raises UnsupportedMediaType or MalformedJson."""
    if not request.body:
        raise MalformedJson("The body is empty; send a JSON object.")
    _check_media_type(request.headers)
    return read_json(request.body)


def _check_media_type(headers: Headers) -> None:
    if not _is_json(headers.get("content-type", "")):
        raise UnsupportedMediaType("Send the body as application/json in UTF-8.")
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType("Send the body uncompressed (no Content-Encoding).")


def _is_json(content_type: str) -> bool:
    media_type, *parameters = content_type.split(";")
    if media_type.strip().lower() != "application/json":
        return False
    for parameter in parameters:
        found = _PARAMETER.fullmatch(parameter)
        if found is None:
            if parameter.strip():
                return False
        elif found["name"].lower() == "charset" and found["value"].strip('"').lower() not in ("utf-8", "utf8"):
            return False
    return True
