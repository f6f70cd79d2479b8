"""Metadata, which nearly every object carries."""

from __future__ import annotations

from collections.abc import Mapping

Metadata = Mapping[str, str]
