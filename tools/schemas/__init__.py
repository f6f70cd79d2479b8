"""The published shapes as documents: a JSON Schema of each type, and one AsyncAPI document of all topics.

`python -m tools.schemas` writes them into `docs/reference/schemas/` from the pydantic models of
`payments_core.published`; `--check` compares. A shape that changed needs a new version with a note:
`python -m tools.schemas --note payment.failed "what changed"`.
"""

from __future__ import annotations
