"""What an installation without an extra is told by whoever needs it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from payments_core.errors import ConfigurationError


@contextmanager
def needing(extra: str, by: str) -> Generator[None]:
    """Import what `extra` installs. Raises ConfigurationError where a package is absent, in the name of `by`."""
    try:
        yield
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f'{by} needs the package {missing.name}, which is not installed; run pip install "payments-core[{extra}]".'
        ) from None
