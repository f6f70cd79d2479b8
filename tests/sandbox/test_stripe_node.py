"""stripe-node, unmodified, does a checkout: opens it, reads what was paid, verifies the webhook that tells of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import requests

from payments_core.sandbox import Sandbox, running
from tests._services import unavailable
from tests.sandbox.conftest import SECRET
from tests.sandbox.test_sdk import Shop

SCRIPT = Path(__file__).parent / "checkout.mjs"
OLDEST = 20
BUYER = {"email": "a@b.example", "cc-number": "4242424242424242", "cc-exp": "12/40", "cc-csc": "123", "cc-name": "A"}


@pytest.fixture(scope="module")
def node(stripe_npm: Path) -> str:
    """A Node.js that stripe-node runs on."""
    program = shutil.which("node")
    if program is None:
        pytest.skip(unavailable("npm", "Node.js was not found; install it (Debian: apt-get install nodejs)"))
    version = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
    found = re.match(r"v(\d+)", version)
    if found is None or int(found[1]) < OLDEST:
        pytest.skip(unavailable("npm", f"stripe-node needs Node.js {OLDEST}; this one is {version.strip()}"))
    return program


@pytest.fixture
def script(node: str, stripe_npm: Path) -> Callable[..., dict[str, Any]]:
    """Runs one half of the checkout; what it prints."""

    def run(sandbox: Sandbox, mode: str, **given: Any) -> dict[str, Any]:
        done = subprocess.run(
            [node, str(SCRIPT), str(stripe_npm), sandbox.base_url, SECRET, mode],
            input=json.dumps(given),
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_stripe_node_does_a_checkout(script: Callable[..., dict[str, Any]]) -> None:
    """Opened by API, paid on the page, read back, its webhook verified; a forged one is refused, and so is a card."""
    inbox: Queue[tuple[str, str]] = Queue()
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Shop,), {"inbox": inbox, "failures": []})) as shop,
        running(webhook_secret=SECRET, forward_to=[f"http://127.0.0.1:{shop.server_port}/hook"]) as sandbox,
    ):
        threading.Thread(target=shop.serve_forever, daemon=True).start()
        opened = script(sandbox, "open")
        assert (opened["status"], opened["total"]) == ("open", 5998)
        page = requests.post(opened["url"], data=BUYER, allow_redirects=False, timeout=20)
        assert page.headers["location"] == f"https://shop.test/thanks?session_id={opened['id']}"
        told = [inbox.get(timeout=20) for _ in sandbox.events()]
        (body, signature) = next(one for one in told if json.loads(one[0])["type"] == "checkout.session.completed")

        seen = script(sandbox, "check", id=opened["id"], body=body, signature=signature)
        shop.shutdown()

    assert seen == {
        "paid": "paid",
        "last4": "4242",
        "quantity": 2,
        "event": ["checkout.session.completed", opened["id"]],
        "version": True,
        "forged": "StripeSignatureVerificationError",
        "declined": ["StripeCardError", "card_declined", "generic_decline", "requires_payment_method"],
        "types": 9,
    }
