"""More than two hundred checkout bodies that must be refused, each with the code and the field that the refusal names.

Every one is the reference body with one thing wrong, so that nothing else can be what refuses it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from attrs import frozen

REFERENCE: dict[str, Any] = {
    "products": [{"name": "Premium T-Shirt", "price": 29.99, "quantity": 2, "image": "https://example.com/tshirt.jpg"}],
    "successUrl": "https://yourstore.com/success?session_id={CHECKOUT_SESSION_ID}",
    "cancelUrl": "https://yourstore.com/cart",
    "customerEmail": "customer@example.com",
}
STATUS = {
    "malformed_json": 400,
    "payload_too_large": 413,
    "unsupported_media_type": 415,
    "invalid_request": 422,
    "redirect_not_allowed": 422,
}


@frozen
class Wrong:
    """A body that must be refused with `code`, naming the field `path` where one is at fault."""

    name: str
    body: bytes
    code: str
    path: str | None = None
    content_type: str | None = "application/json"
    encoding: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        given = {"Content-Type": self.content_type, "Content-Encoding": self.encoding}
        return {name: value for name, value in given.items() if value is not None}


@frozen
class Raw:
    """A piece of JSON text to be put in as it stands: what `json.dumps` would not write."""

    text: str


def reference(**changes: Any) -> dict[str, Any]:
    """The reference body with fields set; `...` takes a field out."""
    body = copy.deepcopy(REFERENCE)
    for name, value in changes.items():
        if value is ...:
            body.pop(name, None)
        else:
            body[name] = value
    return body


def with_line(**changes: Any) -> dict[str, Any]:
    """The reference body with fields of its one line set."""
    body = reference()
    line = body["products"][0]
    for name, value in changes.items():
        if value is ...:
            line.pop(name, None)
        else:
            line[name] = value
    return body


def text(body: object) -> bytes:
    """JSON text, in which `Raw` pieces stand as they are."""
    pieces: list[str] = []

    def marked(value: object) -> object:
        if isinstance(value, Raw):
            pieces.append(value.text)
            return f"@@{len(pieces) - 1}@@"
        if isinstance(value, dict):
            return {key: marked(item) for key, item in value.items()}
        if isinstance(value, list):
            return [marked(item) for item in value]
        return value

    written = json.dumps(marked(body), ensure_ascii=False)
    for index, piece in enumerate(pieces):
        written = written.replace(f'"@@{index}@@"', piece)
    return written.encode()


def wrong_bodies() -> list[Wrong]:
    """All of them; names are unique."""
    found = [
        *_not_json(),
        *_media_types(),
        *_shapes(),
        *_prices(),
        *_quantities(),
        *_texts(),
        *_urls(),
        *_emails(),
        *_metadata(),
        *_currencies(),
        *_modes(),
    ]
    names = [wrong.name for wrong in found]
    assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)
    return found


def _not_json() -> Iterator[Wrong]:
    good = text(REFERENCE)
    texts: dict[str, bytes] = {
        "empty": b"",
        "white space only": b" \n\t ",
        "half of it": good[: len(good) // 2],
        "one bracket short": good[:-1],
        "one bracket more": good + b"}",
        "two documents": good + good,
        "trailing comma": good[:-1] + b",}",
        "comment": b"/* hi */" + good,
        "single quotes": good.replace(b'"', b"'"),
        "byte order mark": b"\xef\xbb\xbf" + good,
        "UTF-16": good.decode().encode("utf-16"),
        "UTF-32": good.decode().encode("utf-32"),
        "latin-1": text(with_line(name="Caf\u00e9")).decode().encode("latin-1"),
        "overlong UTF-8": good.replace(b"Premium", b"Prem\xc0\xafium"),
        "encoded surrogate": good.replace(b"Premium", b"Prem\xed\xa0\x80ium"),
        "NUL byte": good.replace(b"Premium", b"Prem\x00ium"),
        "control character": good.replace(b"Premium", b"Prem\x01ium"),
        "line break in a string": good.replace(b"Premium", b"Prem\nium"),
        "unknown escape": good.replace(b"Premium", b"Prem\\xium"),
        "lone high surrogate": good.replace(b"Premium", b"\\ud83d"),
        "lone low surrogate": good.replace(b"Premium", b"\\udca9"),
        "swapped surrogates": good.replace(b"Premium", b"\\udca9\\ud83d"),
        "surrogate in a key": good[:-1] + b',"\\ud800":1}',
        "form": b"products=1&successUrl=https%3A%2F%2Fexample.com",
        "XML": b"<checkout/>",
        "YAML": b"products:\n- name: x\n",
        "HTML": b"<!doctype html><p>hi",
        "random bytes": bytes(range(256)),
        "only NULs": b"\x00" * 64,
        "gzip without saying so": b"\x1f\x8b\x08\x00" + b"\x00" * 20,
        "undefined": b"undefined",
        "Python's True": b"True",
        "NaN alone": b"NaN",
    }
    for name, body in texts.items():
        yield Wrong(f"not JSON: {name}", body, "malformed_json")
    for depth in (34, 100, 2000, 60_000):
        yield Wrong(f"{depth} lists deep", b"[" * depth + b"]" * depth, "malformed_json")
    for depth in (40, 5000):
        yield Wrong(f"{depth} objects deep", b'{"a":' * depth + b"1" + b"}" * depth, "malformed_json")
    yield Wrong("deep in metadata", text(reference(metadata={"a": Raw("[" * 40 + "]" * 40)})), "malformed_json")
    yield Wrong("products twice", good[:-1] + b',"products":[]}', "malformed_json")
    yield Wrong("price twice", good.replace(b'"price": 29.99', b'"price": 29.99, "price": 0.01'), "malformed_json")
    yield Wrong("the same key, once escaped", good[:-1] + b',"\\u0070roducts":[]}', "malformed_json")
    yield Wrong("metadata key twice", text(reference(metadata=Raw('{"a":"1","a":"2"}'))), "malformed_json")
    for number in ("NaN", "Infinity", "-Infinity", "nan", "+1", "01", ".5", "5.", "1e", "0x10", "1_000", "--1", "1,5"):
        yield Wrong(f"price {number}", text(with_line(price=Raw(number))), "malformed_json")
    for number in ("9" * 41, "9" * 5000, "0." + "1" * 60, "1e99999999999999999999", "1e-99999999999999999999"):
        yield Wrong(
            f"price of {len(number)} characters {number[:24]}", text(with_line(price=Raw(number))), "malformed_json"
        )
    yield Wrong("quantity of 5000 digits", text(with_line(quantity=Raw("9" * 5000))), "malformed_json")
    yield Wrong("a quarter of a megabyte and more", text(with_line(name="x" * 262_144)), "payload_too_large")
    yield Wrong("spaces without end", good + b" " * 262_144, "payload_too_large")


def _media_types() -> Iterator[Wrong]:
    for media_type in (
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json-patch+json",
        "application/vnd.api+json",
        "application/octet-stream",
        "application/json, text/plain",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "application/json; charset",
        "*/*",
        "json",
    ):
        yield Wrong(f"as {media_type}", text(REFERENCE), "unsupported_media_type", content_type=media_type)
    yield Wrong("as nothing", text(REFERENCE), "unsupported_media_type", content_type=None)
    for encoding in ("gzip", "deflate", "br", "gzip, identity"):
        yield Wrong(f"encoded as {encoding}", text(REFERENCE), "unsupported_media_type", encoding=encoding)


def _shapes() -> Iterator[Wrong]:
    for name, value in {"list": [], "string": "x", "number": 1, "fraction": 1.5, "true": True, "null": None}.items():
        yield Wrong(f"a {name} instead of an object", text(value), "invalid_request")
    yield Wrong("an object in a list", text([REFERENCE]), "invalid_request")
    yield Wrong("an empty object", b"{}", "invalid_request", "products")
    for name in ("products", "successUrl", "cancelUrl"):
        yield Wrong(f"without {name}", text(reference(**{name: ...})), "invalid_request", name)
        yield Wrong(f"null {name}", text(reference(**{name: None})), "invalid_request", name)
    for name, value in {"object": {}, "string": "x", "number": 1, "true": True}.items():
        yield Wrong(f"a {name} for products", text(reference(products=value)), "invalid_request", "products")
    yield Wrong("no products", text(reference(products=[])), "invalid_request", "products")
    for count in (101, 150, 1000):
        lines = [{"name": "x", "price": 1, "quantity": 1}] * count
        yield Wrong(f"{count} products", text(reference(products=lines)), "invalid_request", "products")
    for name, value in {"list": [], "string": "x", "number": 1, "true": True, "null": None}.items():
        yield Wrong(f"a {name} for a product", text(reference(products=[value])), "invalid_request", "products[0]")
    line = REFERENCE["products"][0]
    yield Wrong("the second product", text(reference(products=[line, {}])), "invalid_request", "products[1].name")
    many = [line] * 99 + [{**line, "price": -1}]
    yield Wrong("the hundredth product", text(reference(products=many)), "invalid_request", "products[99].price")
    for name in (
        "amount",
        "Products",
        "success_url",
        "userId",
        "mode",
        "__proto__",
        "",
        "payment_method_types",
        "products ",
    ):
        yield Wrong(f"unknown field {name!r}", text(reference(**{name: "x"})), "invalid_request", name)
    for name in ("unit_amount", "Price", "discount", "tax", "priceId", "currency"):
        yield Wrong(
            f"unknown line field {name}", text(with_line(**{name: 1})), "invalid_request", f"products[0].{name}"
        )


def _prices() -> Iterator[Wrong]:
    path = "products[0].price"
    for number in ("0", "0.0", "-0", "-0.0", "0e10", "-1", "-29.99", "-1e-2"):
        yield Wrong(f"price {number}", text(with_line(price=Raw(number))), "invalid_request", path)
    for number in ("29.999", "0.001", "1e-3", "1e-400", "29.9900000001", "1e-999999999"):
        yield Wrong(f"price {number}", text(with_line(price=Raw(number))), "invalid_request", path)
    for number in ("1e400", "1e11", "10000000000", "99999999999.99", "1e999999999", "9" * 40, "18446744073709551616"):
        yield Wrong(f"price {number}", text(with_line(price=Raw(number))), "invalid_request", path)
    for value in (
        "29.99",
        "29",
        "",
        "$29.99",
        "29,99",
        "NaN",
        "1e2",
        True,
        False,
        None,
        [],
        {},
        [29.99],
        {"amount": 1},
    ):
        yield Wrong(f"price as {value!r}", text(with_line(price=value)), "invalid_request", path)
    yield Wrong("no price", text(with_line(price=...)), "invalid_request", path)
    for currency, number in (
        ("jpy", "29.99"),
        ("JPY", "0.5"),
        ("krw", "100.1"),
        ("isk", "10.5"),
        ("ugx", "0.01"),
        ("kwd", "5.123"),
        ("bhd", "1.0001"),
        ("eur", "1.005"),
    ):
        body = with_line(price=Raw(number)) | {"currency": currency}
        yield Wrong(f"{number} in {currency}", text(body), "invalid_request", path)
    heavy = with_line(price=9_999_999_999, quantity=999_999)
    yield Wrong("a total beyond twelve digits", text(heavy), "invalid_request", "products")


def _quantities() -> Iterator[Wrong]:
    path = "products[0].quantity"
    for number in ("0", "-1", "-0", "1.5", "2.0", "1e0", "0.5", "1000000", "2147483648", "9" * 40, "1e400"):
        yield Wrong(f"quantity {number}", text(with_line(quantity=Raw(number))), "invalid_request", path)
    for value in ("2", "", "two", True, False, None, [], {}, [2]):
        yield Wrong(f"quantity as {value!r}", text(with_line(quantity=value)), "invalid_request", path)
    yield Wrong("no quantity", text(with_line(quantity=...)), "invalid_request", path)


def _texts() -> Iterator[Wrong]:
    path = "products[0].name"
    for value in ("", " ", "\t\n", "\u2003", "x" * 5001, "a\x00b", 1, 1.5, True, None, [], {}):
        shown = repr(value)[:20]
        yield Wrong(f"name {shown}", text(with_line(name=value)), "invalid_request", path)
    yield Wrong("no name", text(with_line(name=...)), "invalid_request", path)
    for value in ("", " ", "x" * 256, "a\x00b", "a\nb", 1, True, [], {}):
        shown = repr(value)[:20]
        yield Wrong(f"productId {shown}", text(with_line(productId=value)), "invalid_request", "products[0].productId")


def _urls() -> Iterator[Wrong]:
    images: tuple[object, ...] = (
        "",
        "x",
        "/tshirt.jpg",
        "//example.com/t.jpg",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "file:///etc/passwd",
        "ftp://example.com/t.jpg",
        "https://",
        "https:///t.jpg",
        "https://user:password@example.com/t.jpg",
        "https://example.com/t shirt.jpg",
        "https://example.com/t\nshirt.jpg",
        "https://example.com/t\x00.jpg",
        "https://example.com:99999/t.jpg",
        "https://[::1/t.jpg",
        "https://example.com/" + "x" * 2048,
        "https://example.com\\@evil.example/t.jpg",
        1,
        True,
        [],
        {},
        ["https://example.com/t.jpg"],
    )
    for value in images:
        shown = repr(value)[:45]
        yield Wrong(f"image {shown}", text(with_line(image=value)), "invalid_request", "products[0].image")
    for name in ("successUrl", "cancelUrl"):
        for value in ("", "a\x00b", 1, 1.5, True, [], {}, ["https://example.com"]):
            yield Wrong(f"{name} {value!r}", text(reference(**{name: value})), "invalid_request", name)
        for url in (
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "\tjavascript:alert(1)",
            "data:text/html,hi",
            "vbscript:x",
            "//evil.example",
            "/success",
            "success",
            "https://",
            "http://shop.example",
            "ftp://shop.example",
            "https://user@shop.example/",
            "https://shop.example\\@evil.example/",
            "https://shop.example/a b",
            "https://shop.example/\r\nSet-Cookie: a=b",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1/",
        ):
            yield Wrong(f"{name} {url!r}", text(reference(**{name: url})), "redirect_not_allowed", name)
        yield Wrong(
            f"{name} of 5001 characters",
            text(reference(**{name: "https://shop.example/" + "x" * 4980})),
            "invalid_request",
            name,
        )


def _emails() -> Iterator[Wrong]:
    for value in (
        "",
        " ",
        "customer",
        "customer@",
        "@example.com",
        "customer@localhost",
        "customer@@example.com",
        "customer@exa mple.com",
        "cus tomer@example.com",
        "customer@example..com",
        "customer@-example.com",
        "customer@example.com.",
        ".customer@example.com",
        "customer.@example.com",
        "cus..tomer@example.com",
        "customer@example.c",
        "customer@example.com\n",
        "customer@example.com\x00",
        "a@example.com, b@example.com",
        "Customer <customer@example.com>",
        "x" * 65 + "@example.com",
        "x@" + "y" * 320 + ".com",
        1,
        True,
        [],
        {},
        ["customer@example.com"],
    ):
        shown = repr(value)[:40]
        yield Wrong(f"customerEmail {shown}", text(reference(customerEmail=value)), "invalid_request", "customerEmail")


def _metadata() -> Iterator[Wrong]:
    for value in ("x", 1, True, [], ["a"], [["a", "b"]]):
        yield Wrong(f"metadata {value!r}", text(reference(metadata=value)), "invalid_request", "metadata")
    for value in (1, 1.5, True, None, [], {}, {"b": "c"}):
        yield Wrong(
            f"metadata value {value!r}", text(reference(metadata={"a": value})), "invalid_request", "metadata.a"
        )
    yield Wrong("metadata value of 501", text(reference(metadata={"a": "x" * 501})), "invalid_request", "metadata.a")
    yield Wrong("metadata value with NUL", text(reference(metadata={"a": "\x00"})), "invalid_request", "metadata.a")
    long = "k" * 41
    yield Wrong("metadata key of 41", text(reference(metadata={long: "x"})), "invalid_request", f"metadata.{long[:40]}")
    yield Wrong(
        "metadata key with brackets", text(reference(metadata={"a[b]": "x"})), "invalid_request", "metadata.a[b]"
    )
    yield Wrong("empty metadata key", text(reference(metadata={"": "x"})), "invalid_request", "metadata.")
    for key in ("payments_core_id", "payments_core_app", "payments_core_anything", "PAYMENTS_CORE_ID"):
        yield Wrong(f"metadata key {key}", text(reference(metadata={key: "x"})), "invalid_request", f"metadata.{key}")
    keys = {f"key{number}": "x" for number in range(51)}
    yield Wrong("51 metadata keys", text(reference(metadata=keys)), "invalid_request", "metadata")


def _currencies() -> Iterator[Wrong]:
    for value in (
        "",
        "us",
        "usdd",
        "xxx",
        "zzz",
        "btc",
        "USD ",
        " usd",
        "$",
        "usd\x00",
        "\u0443\u0441\u0434",
        840,
        True,
        [],
        {},
        ["usd"],
    ):
        shown = repr(value)
        yield Wrong(f"currency {shown}", text(reference(currency=value)), "invalid_request", "currency")


def _modes() -> Iterator[Wrong]:
    for value in ("", "hosted", "embedded", "custom", "HOSTED_PAGE", "form", "elements", 1, True, [], {}):
        yield Wrong(f"uiMode {value!r}", text(reference(uiMode=value)), "invalid_request", "uiMode")
    body = reference(uiMode="hosted_page", cancelUrl=...)
    yield Wrong("hosted page without cancelUrl", text(body), "invalid_request", "cancelUrl")
    body = reference(uiMode="embedded_page", successUrl=...)
    yield Wrong("embedded page without successUrl", text(body), "invalid_request", "successUrl")
