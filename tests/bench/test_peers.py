"""The peers come from locks: fixed versions, every file by its hash, from wherever packages come on this machine."""

from __future__ import annotations

import json

import pytest

from bench import peers
from bench.measures import MEASURES


@pytest.mark.parametrize("name", ["python", "djstripe"])
def test_every_python_peer_is_pinned_with_hashes(name: str) -> None:
    """As the installation demands."""
    lines = (peers.LOCKS / name / "requirements.txt").read_text().splitlines()
    pinned = [line for line in lines if line[:1].isalpha()]
    assert pinned
    assert all("==" in line and line.endswith("\\") for line in pinned)
    assert sum("--hash=sha256:" in line for line in lines) >= len(pinned)


def test_every_node_peer_is_pinned_with_its_integrity_and_no_address() -> None:
    """An address would name an index."""
    packages = json.loads((peers.LOCKS / "node" / "package-lock.json").read_text())["packages"]
    for name, package in packages.items():
        assert "resolved" not in package
        assert not name or package["integrity"].startswith("sha512-")


def test_our_own_candidates_run_with_the_projects_versions() -> None:
    """The peers' lock adds to the project's and contradicts it nowhere."""
    project, added = peers.python_locks("python")
    names = {line.split("==")[0] for line in project.read_text().splitlines() if line[:1].isalpha()}
    assert {"fastapi", "flask", "gunicorn", "psycopg", "sqlalchemy", "stripe", "uvicorn"} <= names
    assert not names & {line.split("==")[0] for line in added.read_text().splitlines() if line[:1].isalpha()}


def test_every_target_of_this_stage_is_measured() -> None:
    """The targets of speed, and what a broker that is down may cost a webhook (C18)."""
    targets = {target for measure in MEASURES for target in measure.targets}
    assert targets == {"T1", "T1b", "T2", "T2b", "T3", "T4", "T5", "T6", "T7", "T8", "T9", "T10", "T11", "C18"}
