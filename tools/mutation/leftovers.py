"""The mutants of what mutmut leaves out: module level, class bodies, decorated functions, functions used at import."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import libcst as cst
import libcst.matchers as m
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

_FUNCTIONS_OF_MUTMUT = ("staticmethod", "classmethod")
_ALIAS = m.AnnAssign(annotation=m.Annotation(m.Name("TypeAlias")))
_FOR_TYPES_ONLY = m.If(test=m.Name("TYPE_CHECKING"))
_NEVER = m.Annotation() | m.Import() | m.ImportFrom() | m.Decorator() | m.Parameters() | _ALIAS | _FOR_TYPES_ONLY


@dataclass(frozen=True)
class Mutant:
    """A module's source with one change, which is at `line`."""

    line: int
    change: str
    source: str


def used_at_import(source: str) -> frozenset[str]:
    """The module's own functions that are called while it is imported: a mutant in them must be there before."""
    finder = _ImportTimeCalls()
    cst.parse_module(source).visit(finder)
    return frozenset(finder.called & finder.defined)


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of what mutmut does not mutate in a module."""
    wrapper = MetadataWrapper(cst.parse_module(source))
    lines = wrapper.resolve(PositionProvider)
    collector = _Collector(used_at_import(source))
    wrapper.module.visit(collector)
    for node, changed in collector.found:
        mutated = cast(cst.Module, wrapper.module.deep_replace(node, changed)).code
        if mutated != source:
            yield Mutant(lines[node].start.line, f"{_code(node)} -> {_code(changed)}", mutated)


def _code(node: cst.CSTNode) -> str:
    written = " ".join(cst.Module([]).code_for_node(node).split())
    return written if len(written) <= 70 else f"{written[:67]}..."


def _is_mutmuts(function: cst.FunctionDef) -> bool:
    if not function.decorators:
        return True
    only = function.decorators[0].decorator
    return len(function.decorators) == 1 and isinstance(only, cst.Name) and only.value in _FUNCTIONS_OF_MUTMUT


class _ImportTimeCalls(cst.CSTVisitor):
    """Names of functions that are defined, and of those that are called outside of any function."""

    def __init__(self) -> None:
        super().__init__()
        self.defined: set[str] = set()
        self.called: set[str] = set()

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.FunctionDef):
            self.defined.add(node.name.value)
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Name):
            self.called.add(node.func.value)
        return not isinstance(node, cst.FunctionDef | cst.Decorator)


class _Collector(cst.CSTVisitor):
    """What can be changed, each with what it becomes."""

    def __init__(self, at_import: frozenset[str]) -> None:
        super().__init__()
        self._at_import = at_import
        self._passed_over: set[cst.CSTNode] = set()
        self.found: list[tuple[cst.CSTNode, cst.CSTNode]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if node in self._passed_over or m.matches(node, _NEVER):
            return False
        if isinstance(node, cst.FunctionDef) and _is_mutmuts(node) and node.name.value not in self._at_import:
            return False
        if isinstance(node, cst.ClassDef):
            self._passed_over.update([*node.bases, *node.keywords])
        for kind, operator in mutation_operators:
            if isinstance(node, kind):
                self.found += [(node, changed) for changed in operator(node)]
        if isinstance(node, cst.Dict) and len(node.elements) > 1:
            self.found += [(node, _without(node, index)) for index in range(len(node.elements))]
        return True


def _without(table: cst.Dict, index: int) -> cst.Dict:
    """A table that lacks one of its entries."""
    return table.with_changes(elements=[*table.elements[:index], *table.elements[index + 1 :]])
