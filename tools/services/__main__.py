"""Command line of the services: `python -m tools.services up|down|status|run [names] [-- command]`."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from tools.services import SERVICES, Running, Service, ServiceUnavailable, containers, ensure, running, stop

HOME = Path(__file__).resolve().parent.parent.parent / ".services"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _flavour(service: Service) -> Service:
    return containers.in_container(service) if containers.wanted() else service


def lines(urls: dict[str, str]) -> list[str]:
    """The lines to export: what the test suite reads, then what the application itself reads."""
    found = [f"export {SERVICES[name].variable}={shlex.quote(url)}" for name, url in urls.items()]
    if "postgres" in urls:
        url = urls["postgres"].replace("postgresql://", "postgresql+psycopg://", 1)
        found.append(f"export PAYMENTS_DATABASE_URL={shlex.quote(url)}")
    if "redis" in urls:
        found.append(f"export PAYMENTS_REDIS_URL={shlex.quote(urls['redis'])}")
    if "kafka" in urls:
        found.append(f"export KAFKA_BROKERS={shlex.quote(urls['kafka'])}")
    return found


def up(names: list[str]) -> int:
    """Start what does not run yet and print the lines to export; 1 when a service could not be started."""
    urls: dict[str, str] = {}
    failed = 0
    for name in names:
        try:
            found, started = ensure(_flavour(SERVICES[name]), HOME)
        except ServiceUnavailable as error:
            _say(f"{name}: not started: {error}")
            failed = 1
            continue
        _say(f"{name}: {'started' if started else 'runs already'}")
        urls[name] = found.url
    print("\n".join(lines(urls)), flush=True)
    return failed


def down(names: list[str]) -> int:
    """Stop what `up` started and nothing else."""
    for name in names:
        _say(f"{name}: {'stopped' if stop(SERVICES[name], HOME) else 'was not started here'}")
    return 0


def status(names: list[str]) -> int:
    """Print what runs, with its lines to export; 1 when one of them does not."""
    found: dict[str, Running | None] = {name: running(SERVICES[name], HOME) for name in names}
    for name, record in found.items():
        _say(f"{name}: {'runs' if record else 'does not run'}")
    print("\n".join(lines({name: record.url for name, record in found.items() if record})))
    return 0 if all(found.values()) else 1


def run(names: list[str], command: list[str]) -> int:
    """Run the command with every service that can be had, and stop afterwards what was started for it.

    A service whose variable is set is used as it is. One that cannot be started is named in `<variable>_UNAVAILABLE`
    with the reason, for the tests to tell.
    """
    surroundings = dict(os.environ)
    started: list[str] = []
    try:
        for name in names:
            service = SERVICES[name]
            if surroundings.get(service.variable):
                continue
            try:
                found, ours = ensure(_flavour(service), HOME)
            except ServiceUnavailable as error:
                surroundings[f"{service.variable}_UNAVAILABLE"] = str(error)
                continue
            surroundings[service.variable] = found.url
            started += [name] if ours else []
        return _wait_for(subprocess.Popen(command, env=surroundings))
    finally:
        for name in started:
            stop(SERVICES[name], HOME)


def _wait_for(child: subprocess.Popen[bytes]) -> int:
    """Wait for the child; our own signals are its signals, so that it may end in order and we clean up after it."""

    def pass_on(received: int, _frame: object) -> None:
        child.send_signal(received)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, pass_on)
    return child.wait()


def main() -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="tools.services", description=__doc__)
    parser.add_argument("what", choices=["up", "down", "status", "run"])
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(SERVICES)}; all when none is given")
    own, dashes, command = sys.argv[1:], [], []
    if "--" in own:
        cut = own.index("--")
        own, dashes, command = own[:cut], own[cut : cut + 1], own[cut + 1 :]
    arguments = parser.parse_args(own)
    names: list[str] = arguments.names or list(SERVICES)
    unknown = [name for name in names if name not in SERVICES]
    if unknown or (arguments.what == "run") != bool(dashes and command):
        parser.error(f"unknown service {unknown}" if unknown else "`run` takes a command after --, the others none")
    if arguments.what == "run":
        return run(names, command)
    return {"up": up, "down": down, "status": status}[arguments.what](names)


if __name__ == "__main__":
    sys.exit(main())
