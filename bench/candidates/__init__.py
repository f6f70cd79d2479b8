"""Who is measured: our own applications and the peers', each as its documentation would have it written."""

from __future__ import annotations
