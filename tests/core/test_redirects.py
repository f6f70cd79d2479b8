"""Where a buyer may be sent: the allow-list, and everything that tries to get past it (S13)."""

from __future__ import annotations

import pytest

from payments_core import Cart, CheckoutRequest, Line, Money
from payments_core.domain.checkout import check_redirects, redirect_problem
from payments_core.errors import RedirectNotAllowed

HOSTS = ("shop.example.com", "*.shop.test", "localhost:3000")

_TAKEN_FOR_ANOTHER = [
    "https://{0}/", "https://{0}:443/", "https://{0}%00.shop.example.com/", "https://{0}%0d%0a.shop.example.com/",
    "https://{0}%09.shop.example.com/", "https://{0}/https://shop.example.com", "https://{0};shop.example.com/",
    "https://{0},shop.example.com/", "https://{0}?@shop.example.com/", "https://{0}#@shop.example.com/",
    "https://{0}\u2044.shop.example.com/", "https://{0}\uff0f.shop.example.com/", "https://{0}\uff0eshop.example.com/",
    "https://{0}\u200b.shop.example.com/", "https:\\\\{0}", "https:/\\{0}", "https:{0}", "https:/{0}/", "//{0}/%2f..",
    "///\t{0}", "\t//{0}", "https://shop.example.com.{0}/", "https://shop.example.com@{0}/",
    "https://shop.example.com%23@{0}/", "https://shop.example.com:443@{0}/", "https://shop.example.com&@{0}/",
    "https://shop.example.com+{0}/", "https://shop.example.com_{0}/", "https://shop.example.com;{0}/",
    "https://shop.example.com!{0}/", "https://shop.example.com$.{0}/", "https://shop.example.com`.{0}/",
    "https://shop.example.com,{0}/", "https://shop.example.com\\@{0}/", "https://shop.example.com/\\..\\{0}",
]  # fmt: skip

OFF_LIST = [
    "", " ", "/", "/relative", "relative", "#fragment", "?query", "//evil.test", "///evil.test", "////evil.test",
    "\\\\evil.test", "/\\evil.test", "https:evil.test", "https:/evil.test", "https:///evil.test", "https://", "https://.",
    "https://?x", "https://#x", "https://:443/", "http:/shop.example.com", "https:shop.example.com",
    "javascript:alert(1)", "JavaScript:alert(1)", "java\tscript:alert(1)", "javascript://shop.example.com/%0aalert(1)",
    "data:text/html,<script>alert(1)</script>", "vbscript:msgbox(1)", "file:///etc/passwd", "ftp://shop.example.com/",
    "blob:https://shop.example.com/1", "mailto:a@shop.example.com", "about:blank", "ws://shop.example.com/",
    "https://evil.test", "https://evil.test/shop.example.com", "https://evil.test?shop.example.com",
    "https://evil.test#shop.example.com", "https://evil.test/?u=https://shop.example.com",
    "https://shop.example.com.evil.test", "https://evilshop.example.com", "https://evil-shop.example.com",
    "https://shop.example.comevil.test", "https://sub.shop.example.com", "https://example.com", "https://com",
    "https://shop.example.com@evil.test", "https://shop.example.com:pw@evil.test", "https://user@shop.example.com",
    "https://user:pw@shop.example.com", "https://@shop.example.com", "https://shop.example.com%40evil.test",
    "https://shop.example.com%2eevil.test", "https://shop.example.com%00.evil.test", "https://evil.test%2f@shop.example.com",
    "https://evil.test\\@shop.example.com", "https://evil.test\\.shop.example.com", "https://shop.example.com\\.evil.test",
    "https://evil.test\r\nSet-Cookie:a=b", "https://shop.example.com/\r\nLocation:https://evil.test",
    "https://shop.example.com/\n", "\nhttps://shop.example.com", " https://shop.example.com",
    "https://shop.example.com ",
    "https://shop.example.com/\x00", "https://shop.example.com/\x7f", "https://shop.example.com/\t", "https://shop.exa\tmple.com",
    "https://shop.example.com/<script>", 'https://shop.example.com/"x', "https://shop.example.com/`", "https://shop.example.com/|",
    "https://shop.example.com/^", "https://shop。example。com", "https://ѕhop.example.com", "https://shop.example.com/ü",
    "https://①②⑦.⓪.⓪.①", "https://xn--hop-vie.example.com", "https://shop.example.com:99999/", "https://shop.example.com:x/",
    "https://shop.example.com:-1/", "https://[::1", "https://[shop.example.com]/", "https://[::ffff:127.0.0.1]/",
    "http://shop.example.com/", "HTTP://shop.example.com/", "http://a.shop.test/", "https://shop.test", "https://evilshop.test",
    "https://a.shop.test.evil.test", "https://localhost/", "http://localhost:3001/", "http://127.0.0.1/", "http://127.0.0.1:3000/",
    "https://2130706433/", "https://0x7f.1/", "https://0177.0.0.1/", "https://127.1/", "https://10.0.0.1/", "http://169.254.169.254/",
    "https://8.8.8.8./", "https://[fe80::1]/", "https://[::]/", "https://0/",
    *(form.format(host) for host in ("evil.example", "127.0.0.2", "[::2]") for form in _TAKEN_FOR_ANOTHER),
]  # fmt: skip


def test_there_are_enough_attempts() -> None:
    """The list is the specification: it only grows."""
    assert len(set(OFF_LIST)) == len(OFF_LIST) >= 200


@pytest.mark.parametrize("url", OFF_LIST)
def test_what_leads_off_the_list_is_refused(url: str) -> None:
    """With a reason, and never an exception of a parser's."""
    problem = redirect_problem(url, HOSTS)
    assert problem
    assert "evil" not in problem


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example.com",
        "https://shop.example.com/",
        "https://shop.example.com/ok?session_id={CHECKOUT_SESSION_ID}",
        "https://shop.example.com:8443/ok",
        "https://SHOP.EXAMPLE.COM/ok",
        "HTTPS://shop.example.com/ok",
        "https://shop.example.com./ok",
        "https://shop.example.com/ok?next=https://evil.test#frag",
        "https://shop.example.com/a@b",
        "https://a.shop.test/",
        "https://a.b.shop.test/",
        "http://localhost:3000/ok",
        "https://localhost:3000/ok",
    ],
)
def test_what_is_on_the_list_is_allowed(url: str) -> None:
    """Host names, host and port, one wildcard; the session's placeholder stays as it is."""
    assert redirect_problem(url, HOSTS) is None


@pytest.mark.parametrize(
    "url", ["https://anything.test/ok", "http://localhost/ok", "http://127.0.0.1:5000/ok", "http://[::1]:8/"]
)
def test_without_a_list_any_https_host_and_this_machine_are_allowed(url: str) -> None:
    """The default of a test key."""
    assert redirect_problem(url, ()) is None


@pytest.mark.parametrize(
    "url",
    ["http://anything.test/ok", "https://10.0.0.1/", "https://2130706433/", "https://0x7f000001/", "https://[fe80::1]/",
     "https://1.1.1.1", "javascript:alert(1)", "//anything.test", "https://a@anything.test"],
)  # fmt: skip
def test_without_a_list_addresses_and_plain_http_are_still_refused(url: str) -> None:
    """A name, over https: nothing that could be an inner machine."""
    assert redirect_problem(url, ()) is not None


def test_a_url_has_a_length() -> None:
    """Stripe's limit is five thousand characters."""
    assert redirect_problem("https://shop.example.com/" + "a" * 4975, HOSTS) is None
    assert redirect_problem("https://shop.example.com/" + "a" * 4976, HOSTS) == "is longer than 5000 characters"


@pytest.mark.parametrize(
    ("success", "cancel", "paths"),
    [
        ("https://shop.example.com/", None, []),
        ("https://shop.example.com/", "https://evil.test/", ["cancelUrl"]),
        ("https://evil.test/", "javascript:alert(1)", ["successUrl", "cancelUrl"]),
    ],
)
def test_every_wrong_url_is_named(success: str, cancel: str | None, paths: list[str]) -> None:
    """Both fields at once, by the names the client sent."""
    request = CheckoutRequest(Cart([Line("Tee", Money(1, "usd"), 1)]), success, cancel)
    if not paths:
        check_redirects(request, HOSTS)
        return
    with pytest.raises(RedirectNotAllowed) as refused:
        check_redirects(request, HOSTS)
    assert [field.path for field in refused.value.fields] == paths
