"""How a pytest of its own finds the plugin."""

from __future__ import annotations

from importlib.metadata import entry_points

#: Warnings are errors, and other plugins of this project's tests keep out of the way.
QUIET = ("-W", "error", "-p", "no:randomly", "-o", "asyncio_default_fixture_loop_scope=function")
MODULE = "payments_core.testing.plugin"


def plugin_options() -> list[str]:
    """Nothing: it is found by its entry point. An editable install that is older than it needs to be told."""
    return [] if any(point.value == MODULE for point in entry_points(group="pytest11")) else ["-p", MODULE]
