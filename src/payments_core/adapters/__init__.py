"""What stands between the ports and the outside world. Adapters do not know one another."""

from __future__ import annotations
