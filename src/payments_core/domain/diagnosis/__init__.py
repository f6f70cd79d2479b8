"""What is to be made of a deployment's state: facts in, findings out.

Each module decides about one thing that can be wrong; none of them looks at anything. What is read where is said in
`payments_core.services.doctor`.
"""

from __future__ import annotations

from .findings import Check, Finding, Outcome, Report

__all__ = ["Check", "Finding", "Outcome", "Report"]
