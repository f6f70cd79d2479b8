"""Why a broker cannot be reached: the client says it to its log alone, and raises the same error for everything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiokafka import conn  # pyright: ignore[reportMissingTypeStubs]
from aiokafka.errors import KafkaConnectionError, KafkaError  # pyright: ignore[reportMissingTypeStubs]

_WAIT_MS: Final = 3_000


async def cause_of_silence(arguments: Mapping[str, Any]) -> BaseException:
    """The error of a connection to the first broker that gives one; `arguments` are those of `connection`."""
    told: BaseException = KafkaConnectionError("no broker answers as it should")
    options = {name: value for name, value in arguments.items() if name != "bootstrap_servers"}
    untyped: Any = conn
    for address in arguments["bootstrap_servers"]:
        host, _, port = address.rpartition(":")
        try:
            made = await untyped.create_conn(host.strip("[]"), int(port), request_timeout_ms=_WAIT_MS, **options)
        except (OSError, KafkaError, TimeoutError) as error:
            return error
        made.close()
    return told
