"""The words that several ports share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, TypeAlias

Io: TypeAlias = Literal["blocking", "async"]
Clock: TypeAlias = Callable[[], datetime]
NewId: TypeAlias = Callable[[], str]
Handler: TypeAlias = Callable[..., Any]
