"""Reading a request's parameters as Stripe reads them: known names, types, limits, and Stripe's words when they fail.

Every reader takes the parameter's short name and complains about its full one (`line_items[0][quantity]`). An empty
string is Stripe's way to unset: readers of optional values that can be unset say so (`unsettable`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit

from payments_core.money import CURRENCIES

from .errors import StripeRefusal, invalid, missing, not_implemented, unknown_parameter
from .form import Tree

MAX_TEXT = 5000
MAX_INTEGER = 999_999_999_999
EMAIL = re.compile(r"[^@\s<>,;]{1,64}@[^@\s<>,;.]+(\.[^@\s<>,;.]+)+")


class Params:
    """One object of parameters. `path` is its own full name, empty at the top."""

    def __init__(self, tree: Tree, path: str = "") -> None:
        self._tree = tree
        self._path = path

    def __contains__(self, name: str) -> bool:
        return name in self._tree

    @property
    def tree(self) -> Tree:
        """The parameters as they came."""
        return self._tree

    def name(self, name: str) -> str:
        """The full name of a parameter in here, as errors show it."""
        return f"{self._path}[{name}]" if self._path else name

    def names(self) -> list[str]:
        """The short names given."""
        return list(self._tree)

    def is_object(self, name: str) -> bool:
        """Whether a parameter was given as an object or a list, not as one value."""
        return isinstance(self._tree.get(name), dict)

    def only(
        self, *known: str, elsewhere: Collection[str] = (), off: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        """Refuse every other name.

        `elsewhere` are names that Stripe knows and the sandbox does not implement; `off` are objects of the same
        kind that are accepted while they say what is the case anyway (`automatic_tax[enabled]=false`).
        """
        for name in self._tree:
            if name in known:
                continue
            if off is not None and name in off:
                self._must_be_off(name, off[name])
            elif name in elsewhere:
                raise not_implemented(f"the parameter '{self.name(name)}'", self.name(name))
            else:
                raise unknown_parameter(self.name(name))

    def _must_be_off(self, name: str, neutral: Mapping[str, str]) -> None:
        value = self._tree[name]
        given = {"": value} if isinstance(value, str) else value
        for key, leaf in given.items():
            if neutral.get(key) != leaf:
                label = f"{self.name(name)}[{key}]" if key else self.name(name)
                raise not_implemented(f"this value of '{label}'", label)

    def text(self, name: str, *, limit: int = MAX_TEXT, unsettable: bool = False) -> str | None:
        """A text value, or None where absent; `""` only where `unsettable`."""
        value = self._tree.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise invalid(self.name(name), "Invalid string: {...}")
        if value == "" and not unsettable:
            raise self._empty(name)
        if len(value) > limit:
            raise invalid(
                self.name(name),
                f"Invalid string: {self.name(name)} must be at most {limit} characters.",
                "parameter_invalid_string_blank" if not value.strip() else None,
            )
        return value

    def required(self, name: str, *, limit: int = MAX_TEXT) -> str:
        """A text value that must be there."""
        value = self.text(name, limit=limit)
        if value is None:
            raise missing(self.name(name))
        return value

    def integer(self, name: str, *, minimum: int = 0, maximum: int = MAX_INTEGER) -> int | None:
        """A whole number within bounds, or None where absent."""
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"-?[0-9]{1,15}", value):
            raise invalid(self.name(name), f"Invalid integer: {value[:40]}", "parameter_invalid_integer")
        number = int(value)
        if number < minimum:
            raise invalid(
                self.name(name),
                f"This value must be greater than or equal to {minimum}.",
                "parameter_invalid_integer",
            )
        if number > maximum:
            raise invalid(
                self.name(name),
                f"Invalid {name}: must be less than or equal to {maximum}.",
                "parameter_invalid_integer",
            )
        return number

    def decimal(self, name: str, *, digits: int = 12) -> Decimal | None:
        """A number with at most `digits` decimals and not below zero, or None where absent."""
        value = self.text(name)
        if value is None:
            return None
        try:
            number = Decimal(value)
        except InvalidOperation:
            number = Decimal("NaN")
        exponent = number.as_tuple().exponent
        if not isinstance(exponent, int) or not re.fullmatch(r"[0-9.]{1,30}", value) or number > MAX_INTEGER:
            raise invalid(self.name(name), f"Invalid decimal: {value[:40]}")
        if -exponent > digits:
            raise invalid(self.name(name), f"Invalid decimal: at most {digits} decimal places are allowed.")
        return number

    def boolean(self, name: str) -> bool | None:
        """`true` or `false`, or None where absent."""
        value = self.text(name)
        if value not in (None, "true", "false"):
            raise invalid(self.name(name), f"Invalid boolean: {(value or '')[:40]}")
        return None if value is None else value == "true"

    def choice(self, name: str, allowed: Iterable[str], *, unsettable: bool = False) -> str | None:
        """One of a few words, or None where absent; `""` only where `unsettable`."""
        value = self.text(name, unsettable=unsettable)
        if value:
            _check_word(value, list(allowed), self.name(name))
        return value

    def choices(self, name: str, allowed: Iterable[str]) -> list[str] | None:
        """A list of words, each of a few, or None where absent."""
        values, words = self.texts(name), list(allowed)
        for position, value in enumerate(values or ()):
            _check_word(value, words, f"{self.name(name)}[{position}]")
        return values

    def currency(self, name: str) -> str | None:
        """A currency Stripe charges in, in lower case, or None where absent."""
        value = self.text(name)
        return None if value is None else self.known_currency(value, self.name(name))

    @staticmethod
    def known_currency(value: str, label: str) -> str:
        """`value` in lower case if Stripe charges in it; `label` names the parameter otherwise."""
        if value.lower() not in CURRENCIES:
            raise invalid(
                label,
                f"Invalid currency: {value[:10]}. Stripe currently supports these currencies: "
                f"{', '.join(sorted(CURRENCIES))}",
            )
        return value.lower()

    def email(self, name: str, *, unsettable: bool = False) -> str | None:
        """An address that looks like one, or None where absent; `""` only where `unsettable`."""
        value = self.text(name, limit=512, unsettable=unsettable)
        if value and not EMAIL.fullmatch(value):
            raise invalid(self.name(name), f"Invalid email address: {value}", "email_invalid")
        return value

    def url(self, name: str, *, unsettable: bool = False) -> str | None:
        """An absolute http(s) URL of at most 5,000 characters, or None where absent."""
        value = self.text(name, unsettable=unsettable)
        return value if not value else absolute_url(value, self.name(name))

    def texts(self, name: str) -> list[str] | None:
        """A list of texts, or None where absent."""
        items = self._items(name)
        if items is None:
            return None
        for label, item in items:
            if not isinstance(item, str):
                raise invalid(label, "Invalid string: {...}")
        return [item for _, item in items if isinstance(item, str)]

    def child(self, name: str, *, unsettable: bool = False) -> Params | None:
        """A nested object, or None where absent; also for `""` where `unsettable`."""
        value = self._tree.get(name)
        if value is None or (value == "" and unsettable):
            return None
        if isinstance(value, str):
            raise invalid(self.name(name), "Invalid object")
        return Params(value, self.name(name))

    def children(self, name: str) -> list[Params] | None:
        """A list of nested objects, or None where absent."""
        items = self._items(name)
        if items is None:
            return None
        found: list[Params] = []
        for label, item in items:
            if isinstance(item, str):
                raise invalid(label, "Invalid object")
            found.append(Params(item, label))
        return found

    def unsets(self, name: str) -> bool:
        """Whether a parameter was given as the empty text."""
        return self._tree.get(name) == ""

    def mapping(self, name: str) -> list[tuple[str, Params]]:
        """The entries of a nested object whose keys are free (`currency_options`)."""
        nested = self.child(name)
        if nested is None:
            return []
        return [(key, entry) for key in nested.names() if (entry := nested.child(key)) is not None]

    def metadata(self, name: str = "metadata", current: Mapping[str, str] | None = None) -> dict[str, str]:
        """The metadata after this request: `current` with keys set, or unset by `""`; `metadata=""` clears all.

        Limits of https://docs.stripe.com/api/metadata: 50 keys of 40 characters, values of 500.
        """
        value = self._tree.get(name)
        if value == "":
            return {}
        if isinstance(value, str):
            raise invalid(self.name(name), "Invalid object")
        result = dict(current or {})
        for key, leaf in (value or {}).items():
            _apply_metadata(result, key, leaf, self.name(name))
        if len(result) > 50:
            raise invalid(self.name(name), "Metadata can have at most 50 keys.")
        return result

    def _items(self, name: str) -> list[tuple[str, Tree | str]] | None:
        value = self._tree.get(name)
        if value is None:
            return None
        if value == "":
            return []
        if isinstance(value, str) or not all(key.isascii() and key.isdigit() for key in value):
            raise invalid(self.name(name), "Invalid array")
        ordered = sorted(value.items(), key=lambda entry: int(entry[0]))
        return [(f"{self.name(name)}[{key}]", item) for key, item in ordered]

    def _empty(self, name: str) -> StripeRefusal:
        label = self.name(name)
        return invalid(
            label,
            f"You passed an empty string for '{label}'. We assume empty values are an attempt to unset a parameter; "
            f"however '{label}' cannot be unset. You should remove '{label}' from your request or supply a non-empty "
            "value.",
            "parameter_invalid_empty",
        )


def absolute_url(value: str, label: str) -> str:
    """`value` if it is an absolute http(s) URL; raises StripeRefusal with Stripe's code `url_invalid` otherwise."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"[\s<>\"\\]", value)
    except ValueError:
        usable = False
    if not usable:
        raise invalid(label, "Not a valid URL", "url_invalid")
    return value


def _check_word(value: str, words: list[str], label: str) -> None:
    if value not in words:
        listing = words[0] if len(words) == 1 else f"{', '.join(words[:-1])}, or {words[-1]}"
        raise invalid(label, f"Invalid {label}: must be one of {listing}")


def _apply_metadata(result: dict[str, str], key: str, leaf: Tree | str, label: str) -> None:
    if not isinstance(leaf, str):
        raise invalid(f"{label}[{key}]", "Metadata values must be strings.")
    if len(key) > 40:
        raise invalid(label, f"Metadata keys must be at most 40 characters; this one has {len(key)}.")
    if len(leaf) > 500:
        raise invalid(f"{label}[{key}]", f"Metadata values must be at most 500 characters; this one has {len(leaf)}.")
    if leaf == "":
        result.pop(key, None)
    else:
        result[key] = leaf
