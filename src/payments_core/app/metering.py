"""Who counts: OpenTelemetry where its API is installed, else nobody."""

from __future__ import annotations

import logging

from payments_core.ports import Meter, Unmetered

_log = logging.getLogger("payments_core")


def installed_meter() -> Meter:
    """The meter of this process."""
    try:
        from payments_core.adapters.otel.metering import OtelMeter, is_recent
    except ModuleNotFoundError as missing:
        if not str(missing.name).startswith("opentelemetry"):
            raise
        return Unmetered()
    if not is_recent():
        # Something else brought it: whoever did not ask for figures is not to be kept from starting.
        _log.warning("opentelemetry-api is too old, so nothing is counted; install payments-core[otel]")
        return Unmetered()
    return OtelMeter()
