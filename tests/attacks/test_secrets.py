"""S02: a webhook secret that a forger could know stops the server before it listens to anybody.

Every kind of unusable secret is in tests/core/test_settings.py; here real servers are started with one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.attacks.shops import SERVERS
from tests.http.targets import ROOT, environment
from tests.http.targets import SERVERS as COMMANDS

DEADLINE_S = 90.0


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("", "is not set"),
        (" \t ", "is not set"),
        ("whsec_", "is too short"),
        ("changeme", "still holds a placeholder"),
        ("sk_test_pasted4eC39HqLyjWDarjtT1zdp7dc", "holds an API key"),
        ("whsec_a_good_one_that_is_current, ", "is blank or has an empty entry"),
    ],
)
def test_the_process_refuses_to_start_and_says_why_in_one_sentence(
    server: str, secret: str, reason: str, tmp_path: Path
) -> None:
    """Not with a warning, not at the first webhook; the variable is named, its value is not."""
    variables = {**environment("http://127.0.0.1:9", tmp_path), "STRIPE_WEBHOOK_SECRET": secret}
    command = [argument for argument in COMMANDS[server] if argument not in ("--fd", "{fd}", "-b", "fd://{fd}")]
    address = ["--port", "0"] if server == "uvicorn" else ["-b", "127.0.0.1:0"]
    ended = subprocess.run(
        [sys.executable, *command, *address],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    said = ended.stdout + ended.stderr
    assert ended.returncode != 0
    assert f"ConfigurationError: STRIPE_WEBHOOK_SECRET {reason}" in said
    assert len(secret.strip()) < 10 or secret.strip() not in said
    assert not list(tmp_path.glob("*.db")), "a database was made before the secret was looked at"
