"""The official schema of AsyncAPI 3.1.0, from the npm package that its makers publish."""

from __future__ import annotations

import json
from typing import Any

from tools import npm


def official_schema() -> dict[str, Any]:
    """The schema, fetched on first use. Raises npm.CannotFetch."""
    file = npm.installed("asyncapi") / "@asyncapi/specs/schemas/3.1.0.json"
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema
