"""The payments' figures for a period, of one mode."""

from __future__ import annotations

from datetime import datetime

from ..domain.analytics import Period, Report, report
from ..ports import Records


async def analytics(
    records: Records,
    *,
    livemode: bool | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    currency: str | None = None,
) -> tuple[Period, Report]:
    """What was counted, and what it adds up to. Without a mode it is live where there are live payments, else test."""
    chosen = await records.has_live_payments() if livemode is None else livemode
    period = Period(livemode=chosen, since=since, until=until, currency=currency)
    return period, report(await records.tallies(period))
