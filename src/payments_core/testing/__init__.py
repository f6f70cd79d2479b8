"""What tests of code that uses this library need."""

from __future__ import annotations
