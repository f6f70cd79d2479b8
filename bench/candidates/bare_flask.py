"""A Flask route that reads the body and answers."""

from __future__ import annotations

from flask import Flask, request

from bench.candidates.place import PATH

app = Flask(__name__)


@app.post(PATH)
def webhook() -> dict[str, bool]:
    """Read, and answer."""
    request.get_data()
    return {"received": True}
