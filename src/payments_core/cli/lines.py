"""What a long-running command says on stdout, where somebody may have stopped reading."""

from __future__ import annotations

import os
import sys

import click


def say(line: str) -> None:
    """Print a line. Nobody having it (a closed pipe, a full disk) is no reason not to go on, or not to stop."""
    try:
        click.echo(line)
    except OSError:
        silence()


def silence() -> None:
    """Let stdout go nowhere: what is left in its buffer would fail again at the end, with exit code 120."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
