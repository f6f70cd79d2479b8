"""The page on security names a test for each attack, and the tests exist."""

from __future__ import annotations

import re

from tests.guarantees.test_page import NAMED, ROOT, functions_of

PAGE = ROOT / "docs/explanation/security.md"
ROW = re.compile(r"^\| (S\d\d) \| ([^|]+) \| (.+) \|$", re.MULTILINE)


def test_every_attack_is_named_with_the_tests_that_try_it() -> None:
    """S01 to S19, in order, each test by its module and name."""
    rows = ROW.findall(PAGE.read_text("utf-8"))
    assert [case for case, _, _ in rows] == [f"S{number:02}" for number in range(1, 20)]
    for case, _, tests in rows:
        named = NAMED.findall(tests)
        assert named, case
        for path, name in named:
            assert name in functions_of(path), f"{case}: {path} has no {name}"
