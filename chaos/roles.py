"""What a child of the nursery is: a web server, a worker, a process that is to be frozen.

A role takes its specification and the file descriptors it inherits: for a web server its listening socket, then, where
somebody waits for it, a pipe to which it writes when it serves.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import evolve
from sqlalchemy import insert

from chaos.shop import EFFECT_OUTSIDE, USER_HEADER, Spec, async_shop, blocking_shop
from chaos.trouble import note
from payments_core import AsyncPayments, Payments
from payments_core.app.metering import installed_meter
from payments_core.app.relays import LoopErrands, compose_relay
from payments_core.drive import run_blocking
from payments_core.settings import RelaySettings

PREFIX: Final = "/api/payments"
THREADS: Final = 8
#: How long a server that is told to go waits at most for requests on connections that it has accepted.
_TO_BE_READ_S: Final = 5.0
_LOOK_S: Final = 0.02
#: What `payments worker --app` finds in a worker.
app: AsyncPayments | Payments | None = None


def fastapi(spec: Mapping[str, Any], fds: Sequence[int]) -> None:
    """FastAPI under uvicorn."""
    import uvicorn
    from fastapi import FastAPI

    from payments_fastapi import create_router

    web = FastAPI()
    router = create_router(async_shop(_begin(spec)), user_id=lambda request: request.headers.get(USER_HEADER))
    web.include_router(router, prefix=PREFIX)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            _ready(fds)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # uvicorn cuts connections that it has accepted and not yet read from: first they are read, and answered.
            for server in self.servers:
                server.close()
            until_s = time.monotonic() + _TO_BE_READ_S
            # Those that are being accepted at this moment are among them soon.
            await asyncio.sleep(_LOOK_S)
            while self.server_state.connections and time.monotonic() < until_s:  # noqa: ASYNC110 - uvicorn's own set
                await asyncio.sleep(_LOOK_S)
            await super().shutdown(sockets)

    config = uvicorn.Config(web, log_level="warning", access_log=False, loop="asyncio", http="h11")
    Server(config).run([socket.socket(fileno=fds[0])])


def flask(spec: Mapping[str, Any], fds: Sequence[int]) -> None:
    """Flask under gunicorn: a master that builds the application, and a worker of several threads that it forks."""
    from flask import Flask
    from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

    from payments_flask import create_blueprint

    web = Flask(__name__)
    shop = create_blueprint(blocking_shop(_begin(spec)), user_id=lambda request: request.headers.get(USER_HEADER))
    web.register_blueprint(shop, url_prefix=PREFIX)
    options: dict[str, object] = {
        "bind": f"fd://{fds[0]}",
        "worker_class": "gthread",
        "threads": THREADS,
        "preload_app": True,
        "loglevel": "warning",
        "control_socket_disable": True,
        "post_worker_init": lambda worker: _ready(fds),  # pyright: ignore[reportUnknownLambdaType]
    }

    class Gunicorn(BaseApplication):  # type: ignore[misc] # gunicorn has no types
        def load_config(self) -> None:
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return web

    Gunicorn().run()


def worker(spec: Mapping[str, Any], fds: Sequence[int]) -> None:
    """`payments worker` on the facade of its specification; its first line goes to the pipe."""
    from payments_core.cli.worker import command

    told = _begin(spec)
    if len(fds) > 1:
        os.dup2(fds[1], 1)
    global app  # noqa: PLW0603 - the command takes the name of a module's attribute
    app = async_shop(told) if told.facade == "async" else blocking_shop(told)
    command.main(["--app", f"{__name__}:app"], standalone_mode=False)


def relay(spec: Mapping[str, Any], _: Sequence[int]) -> None:
    """A relay in small batches, until SIGTERM."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(process)d %(name)s %(message)s")
    asyncio.run(_relay(spec))


async def _relay(spec: Mapping[str, Any]) -> None:
    settings = RelaySettings.of(
        kafka_brokers=tuple(spec["brokers"].split(",")),
        payments_topic_prefix=spec["prefix"],
        payments_database_url=spec["url"],
    )
    errands = LoopErrands()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, errands.leave)
    made = evolve(compose_relay(settings, errands, installed_meter()), batch_rows=spec["batch"])
    await made.run()
    await made.close()


def consumer(spec: Mapping[str, Any], _: Sequence[int]) -> None:
    """A downstream service that books every event, until SIGTERM. Offsets are reported late."""
    from chaos.consumers import booked
    from payments_core.adapters.kafka.consumer import ConsumerLimits
    from payments_core.consumer import ConsumerSettings, EventConsumer
    from payments_core.published import PaymentSuccessful

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(process)d %(name)s %(message)s")
    settings = ConsumerSettings.of(
        kafka_brokers=tuple(spec["brokers"].split(",")),
        payments_topic_prefix=spec["prefix"],
        payments_database_url=spec["url"],
    )
    limits = ConsumerLimits(session_s=6, grace_s=5, commit_s=1, instance_id=spec["instance"])
    made = EventConsumer(spec["prefix"] + "orders", settings=settings, limits=limits)

    def book_plainly(event: PaymentSuccessful, tx: Any) -> None:
        tx.session.execute(insert(booked).values(event_id=event.event_id))

    async def book(event: PaymentSuccessful, tx: Any) -> None:
        await tx.session.execute(insert(booked).values(event_id=event.event_id))

    made.on(PaymentSuccessful)(book if spec["io"] == "async" else book_plainly)
    made.run()


def zombie(spec: Mapping[str, Any], _: Sequence[int]) -> None:
    """Claims one event and handles it; what came of it is noted under its process id."""
    told = _begin(spec)
    try:
        outcome = asyncio.run(_async_one(told)) if told.facade == "async" else _one(told)
    except Exception as error:  # noqa: BLE001 - whatever it was, it is noted
        outcome = type(error).__name__
    note(Path(told.notes) / "outcomes", f"{os.getpid()} {outcome}")


def _one(spec: Spec) -> str:
    payments = blocking_shop(spec)
    for claimed in run_blocking(payments.core.store.claim(limit=1, lease_s=spec.lease_s)):
        return run_blocking(payments.core.processing.process(claimed)).value
    return "nothing"


async def _async_one(spec: Spec) -> str:
    payments = async_shop(spec)
    for claimed in await payments.core.store.claim(limit=1, lease_s=spec.lease_s):
        return (await payments.core.processing.process(claimed)).value
    return "nothing"


def _begin(spec: Mapping[str, Any]) -> Spec:
    told = Spec(**spec)
    # A process that aborts is a scenario's everyday; its memory on disk helps nobody.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Where it hangs, if it does: kill -RTMIN writes every thread's frames to the log.
    faulthandler.register(signal.SIGRTMIN)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(process)d %(name)s %(message)s")
    if told.mutant not in (None, EFFECT_OUTSIDE):
        from chaos import mutants

        mutants.plant(told.mutant)
    return told


def _ready(fds: Sequence[int]) -> None:
    if len(fds) > 1:
        os.write(fds[1], b"1")
