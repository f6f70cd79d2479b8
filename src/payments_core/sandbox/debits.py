"""Bank debits, which are paid or fail days later: SEPA Direct Debit in EUR, ACH Direct Debit in USD.

Account numbers and outcomes are those of https://docs.stripe.com/payments/sepa-debit/accept-a-payment and
https://docs.stripe.com/payments/ach-direct-debit/accept-a-payment. What takes Stripe minutes in test mode takes the
same time here by the sandbox's clock. A number lives only as long as the attempt: what is kept is the last four
digits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from attrs import frozen

from .errors import JsonObject
from .records.payments import Conduct, Decline

SOON_S = 5
LATER_S = 180
NEVER = -1
ROUTING_NUMBER = "110000000"

FAILED = Decline("payment_intent_payment_attempt_failed", "The payment failed.")
_NO_FUNDS = Decline("insufficient_funds", "The account does not have enough funds for this debit.")
_CLOSED = Decline("account_closed", "The bank account has been closed.")


@frozen
class KnownAccount:
    """What a test account does: the words for a person, after how many seconds, and the failure (None pays)."""

    words: str
    after_s: int
    decline: Decline | None = None

    @property
    def conduct(self) -> Conduct:
        """How a payment from it behaves."""
        return Conduct(decline=self.decline, settles_in_s=self.after_s)


@frozen
class Account:
    """An account ready to be debited: what may be remembered of it, as the API shows it, and how its bank answers."""

    type: Literal["sepa_debit", "us_bank_account"]
    details: JsonObject
    conduct: Conduct


TEST_IBANS: Mapping[str, KnownAccount] = {
    "AT611904300234573201": KnownAccount("Pays after a moment", SOON_S),
    "AT321904300235473204": KnownAccount("Pays after three minutes", LATER_S),
    "AT861904300235473202": KnownAccount("Fails after a moment", SOON_S, FAILED),
    "AT051904300235473205": KnownAccount("Fails after three minutes", LATER_S, FAILED),
    "AT981904300002222227": KnownAccount("Fails: insufficient funds", SOON_S, _NO_FUNDS),
    "DE89370400440532013000": KnownAccount("Pays after a moment", SOON_S),
    # Of `stripe trigger checkout.session.async_payment_failed`.
    "IT60X0542811101000000123456": KnownAccount("Fails after a moment", SOON_S, FAILED),
}
TEST_ACCOUNTS: Mapping[str, KnownAccount] = {
    "000123456789": KnownAccount("Pays after a moment", SOON_S),
    "000222222227": KnownAccount("Fails: insufficient funds", SOON_S, _NO_FUNDS),
    "000111111113": KnownAccount("Fails: account closed", SOON_S, _CLOSED),
    "000000000009": KnownAccount("Never ends by itself", NEVER),
}


@frozen
class DebitFields:
    """An account as a form or a test gives it. Never kept, logged or shown: the repr is empty."""

    name: str
    iban: str = ""
    routing_number: str = ""
    account_number: str = ""

    def __repr__(self) -> str:
        return "DebitFields(…)"


def read_sepa(fields: DebitFields) -> Account | dict[str, str]:
    """The account, or one message per field (`debit-name`, `iban`) that cannot be used."""
    iban = re.sub(r"\s", "", fields.iban).upper()
    problems = {"debit-name": _name_problem(fields.name), "iban": _iban_problem(iban)}
    found = {name: message for name, message in problems.items() if message is not None}
    if found:
        return found
    return sepa(iban)


def sepa(iban: str) -> Account:
    """A test IBAN. Raises KeyError for another one."""
    details: JsonObject = {
        "bank_code": iban[4:9],
        "branch_code": "",
        "country": iban[:2],
        "fingerprint": f"sandboxIban{iban[-4:]}",
        "generated_from": {"charge": None, "setup_attempt": None},
        "last4": iban[-4:],
    }
    return Account("sepa_debit", details, TEST_IBANS[iban].conduct)


def read_us(fields: DebitFields) -> Account | dict[str, str]:
    """The account, or one message per field (`debit-name`, `routing-number`, `account-number`) that cannot be used."""
    routing, number = fields.routing_number.strip(), fields.account_number.strip()
    problems = {
        "debit-name": _name_problem(fields.name),
        "routing-number": None
        if routing == ROUTING_NUMBER
        else f"In test mode the routing number is {ROUTING_NUMBER}.",
        "account-number": _account_problem(number),
    }
    found = {name: message for name, message in problems.items() if message is not None}
    if found:
        return found
    details: JsonObject = {
        "account_holder_type": "individual",
        "account_type": "checking",
        "bank_name": "STRIPE TEST BANK",
        "financial_connections_account": None,
        "fingerprint": f"sandboxAccount{number[-4:]}",
        "last4": number[-4:],
        "networks": {"preferred": "ach", "supported": ["ach"]},
        "routing_number": routing,
        "status_details": {},
    }
    return Account("us_bank_account", details, TEST_ACCOUNTS[number].conduct)


def iban_is_valid(iban: str) -> bool:
    """Whether the check digits fit (ISO 13616)."""
    if not re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", iban):
        return False
    digits = "".join(str(int(letter, 36)) for letter in iban[4:] + iban[:4])
    return int(digits) % 97 == 1


def _name_problem(name: str) -> str | None:
    return None if name.strip() else "Enter the name of the account's holder."


def _iban_problem(iban: str) -> str | None:
    if not iban:
        return "Enter an IBAN."
    if not iban_is_valid(iban):
        return "Your IBAN is invalid."
    if iban not in TEST_IBANS:
        return "This is a sandbox and takes the test IBANs listed above only, never a real one."
    return None


def _account_problem(number: str) -> str | None:
    if not number:
        return "Enter an account number."
    if number not in TEST_ACCOUNTS:
        return "This is a sandbox and takes the test accounts listed above only, never a real one."
    return None
