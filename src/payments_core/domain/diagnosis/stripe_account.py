"""Whether Stripe takes the key for what we take it for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from attrs import frozen

from ..account import API_VERSION, Greeting
from .clocks import ahead_s, examine_stripe_clock
from .findings import Check, Finding, listed

ANSWERS: Final = Check("stripe", "key accepted")
PERMISSIONS: Final = Check("stripe", "permissions")
_MODE: Final = Check("stripe", "mode")
_VERSION: Final = Check("stripe", "api version")
#: A Date header has whole seconds.
_STEP_S: Final = 1.0


@frozen
class Permission:
    """Something that a restricted key needs leave to read. Without what is `vital` no payment is handled."""

    resource: str
    used_for: str
    is_vital: bool


def is_accepted(greeting: Greeting) -> bool:
    """Whether Stripe knows the key; one that may not read what was asked for is known."""
    return greeting.refusal is None or (greeting.refusal.answered == 403 and greeting.refusal.code != "account_invalid")


def examine_greeting(greeting: Greeting, *, before: datetime, after: datetime, livemode: bool) -> list[Finding]:
    """What an answer says of the key, its mode, the version and the time. It was asked between `before` and `after`."""
    apart_s = None if greeting.said_at is None else ahead_s(before, greeting.said_at, after, step_s=_STEP_S)
    return [
        _accepted(greeting),
        *([_mode(greeting, livemode=livemode), _version(greeting)] if is_accepted(greeting) else []),
        examine_stripe_clock(apart_s),
    ]


def examine_permissions(asked: Sequence[Permission], refused: Sequence[Permission]) -> Finding:
    """What a restricted key may read; what it may write is seen only by writing."""
    if not refused:
        what = listed([one.resource for one in asked])
        return PERMISSIONS.ok(
            f"The restricted key may read {what}. Whether it may open Checkout Sessions is not tried."
        )
    found = "; ".join(f"{one.resource} ({one.used_for})" for one in refused)
    todo = f"Give the key Read on {listed([one.resource for one in refused])}, in the Dashboard under API keys."
    is_vital = any(one.is_vital for one in refused)
    build = PERMISSIONS.failed if is_vital else PERMISSIONS.warning
    return build(f"The restricted key may not read {found}.", todo)


def _accepted(greeting: Greeting) -> Finding:
    refusal = greeting.refusal
    if refusal is None:
        return ANSWERS.ok("Stripe accepts it.")
    if refusal.answered == 401:
        return ANSWERS.failed(
            "Stripe does not know the key: it was rolled, deleted, or is another's.",
            "Put a current one into STRIPE_SECRET_KEY, from the Dashboard's API keys page.",
        )
    if refusal.code == "account_invalid":
        return ANSWERS.failed(
            "The key may not act for the account of PAYMENTS_ACCOUNT, or there is no such account.",
            "Correct PAYMENTS_ACCOUNT, or unset it where payments are the key's own account's.",
        )
    if is_accepted(greeting):
        return ANSWERS.ok("Stripe accepts it, and does not let it read the balance.")
    return ANSWERS.broken(str(refusal), "Look the request up in Stripe's Dashboard.")


def _mode(greeting: Greeting, *, livemode: bool) -> Finding:
    key, said = ("live" if mode else "test" for mode in (livemode, greeting.livemode))
    if greeting.livemode is None:
        return _MODE.skipped(
            "Stripe did not state the mode.", "To have it compared, give a restricted key Read on Balance."
        )
    if greeting.livemode is not livemode:
        return _MODE.failed(
            f"The key is one of {key} mode, and Stripe answers in {said} mode.",
            "See what stands between this machine and Stripe (a proxy, STRIPE_API_BASE).",
        )
    return _MODE.ok(f"Stripe answers in {said} mode, as the key says.")


def _version(greeting: Greeting) -> Finding:
    if greeting.version is None:
        return _VERSION.skipped("Stripe did not state the API version in which it answered.")
    if greeting.version != API_VERSION:
        return _VERSION.warning(
            f"Stripe answers in API version {greeting.version}; this library was written for {API_VERSION}.",
            "Install the stripe package in the version that payments-core asks for, or a newer payments-core.",
        )
    return _VERSION.ok(f"Stripe answers in {API_VERSION}, for which this library was written.")
