"""`make mutation` breaks what mutmut leaves out, and knows what that is."""

from __future__ import annotations

from tools.mutation.leftovers import mutants, used_at_import

MODULE = '''"""A machine."""

from __future__ import annotations

from typing import TypeAlias

Name: TypeAlias = "str | None"
LIMIT = 3


def _step(name, told=True):
    return (name, told and 1)


TABLE = {"open": _step("settled"), "settled": _step("settled")}


class Row:
    """A row."""

    count: int = 1

    @property
    def doubled(self):
        return self.count * 2

    def plain(self):
        return self.count + 1


def later():
    return _step("open")
'''


def changes(source: str = MODULE) -> set[str]:
    return {mutant.change for mutant in mutants(source)}


def test_a_function_that_makes_a_table_is_one_that_mutmut_cannot_switch_on() -> None:
    """It has run before; one that is called by other functions only is mutmut's."""
    assert used_at_import(MODULE) == {"_step"}
    assert used_at_import(MODULE.replace("TABLE =", "def table():\n    return")) == set()


def test_constants_tables_defaults_and_properties_are_changed() -> None:
    """A number, an entry that is gone, a field's default, a property's arithmetic, a table's function."""
    assert {"LIMIT = 3 -> LIMIT = None", "3 -> 4", "count: int = 1 -> count: int = None"} <= changes()
    assert "self.count * 2 -> self.count / 2" in changes()
    assert any(change.endswith('} -> {"settled": _step("settled")}') for change in changes())
    assert "told and 1 -> told or 1" in changes()


def test_what_mutmut_does_and_what_only_a_type_checker_reads_is_left_alone() -> None:
    """Plain functions and methods, type aliases, the text of docstrings."""
    for left_alone in ("self.count + 1", '_step("open")', "str | None", "A machine", "A row"):
        assert not any(left_alone in change for change in changes()), left_alone


def test_every_change_is_a_module_of_its_own() -> None:
    """Python, and another one than before."""
    sources = [mutant.source for mutant in mutants(MODULE)]
    assert MODULE not in sources
    for source in sources:
        compile(source, "mutant", "exec")
