"""What a long-running command says, where somebody may have stopped reading."""

from __future__ import annotations

import os
import sys
from typing import TextIO

import click


def say(line: str, *, err: bool = False) -> None:
    """Print a line. Nobody having it (a closed pipe, a full disk) is no reason not to go on, or not to stop."""
    try:
        click.echo(line, err=err)
    except OSError:
        silence(sys.stderr if err else sys.stdout)


def silence(stream: TextIO) -> None:
    """Let it go nowhere: what is left in its buffer would fail again at the end, with exit code 120."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
