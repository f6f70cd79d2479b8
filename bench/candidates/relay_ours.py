"""T7: the relay as `payments relay` runs it. Says `ready`, waits for a line, drains the outbox, says how it went."""

from __future__ import annotations

import asyncio
import json
import sys
from time import process_time

from payments_core.app.metering import installed_meter
from payments_core.app.relays import LoopErrands, compose_relay
from payments_core.settings import RelaySettings


async def main() -> None:
    """Drain once."""
    relay = compose_relay(RelaySettings.from_env(), LoopErrands(), installed_meter())
    async with relay.outbox.batch(1):
        pass
    print("ready", flush=True)
    sys.stdin.readline()
    began = process_time()
    await relay.drain()
    print(json.dumps({"published": relay.tally.published, "cpu_s": process_time() - began}), flush=True)
    await relay.close()


if __name__ == "__main__":
    asyncio.run(main())
