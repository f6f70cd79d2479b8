"""For services downstream of the payments: their handlers, called once in effect for each published event.

```python
consumer = EventConsumer.from_env(group="orders")

@consumer.on(PaymentSuccessful)                          # of payments_core.published
async def book(event: PaymentSuccessful, tx: Transaction) -> None:
    await tx.session.execute(...)                        # commits with the event's own record, or not at all

consumer.run()                                           # until SIGTERM
```
"""

from __future__ import annotations

from ..domain.consumption import ConsumptionPolicy
from ..errors import ConfigurationError
from ..ports import Transaction
from ..ports.consuming import Rejected
from ..settings import ConsumerSettings
from .events import EventConsumer

__all__ = [
    "ConfigurationError",
    "ConsumerSettings",
    "ConsumptionPolicy",
    "EventConsumer",
    "Rejected",
    "Transaction",
]
