"""Measures the performance targets beside the peers, in one run, round by round: what `make bench` starts.

Absolute figures belong to a machine; ratios travel better. Every candidate is counted after: what it answered must be
in its database.
"""

from __future__ import annotations
