"""What the installed stripe-python says about the API: its objects' fields, its endpoints, their parameters.

Read from the source of the SDK, which Stripe generates from the specification of the version that it pins.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import stripe
from attrs import frozen

HOME = Path(stripe.__file__).parent
_OBJECT = re.compile(r'^class (\w+)\b|OBJECT_NAME: ClassVar\[\s*Literal\[\s*"([\w.]+)"', re.MULTILINE)
#: Field name to type, both as the SDK writes them.
Fields = Mapping[str, str]


@frozen
class Endpoint:
    """One method of one service. `path` has `{}` in place of ids, `params` is the class of its parameters."""

    module: str
    service: str
    method: str
    http: str
    path: str
    params: str


@cache
def classes(module: str) -> dict[str, Fields]:
    """The classes of a module by dotted name, nested ones too: `classes("_price.py")["Price.Recurring"]`."""
    found: dict[str, Fields] = {}

    def visit(body: list[ast.stmt], outer: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                name = f"{outer}.{node.name}" if outer else node.name
                found[name] = {
                    field.target.id: ast.unparse(field.annotation)
                    for field in node.body
                    if isinstance(field, ast.AnnAssign)
                    and isinstance(field.target, ast.Name)
                    and "ClassVar" not in ast.unparse(field.annotation)
                }
                visit(node.body, name)

    visit(ast.parse((HOME / module).read_text("utf-8")).body, "")
    return found


@cache
def homes() -> dict[str, tuple[str, str]]:
    """Module and class of each kind of object, by its `object` field."""
    found: dict[str, tuple[str, str]] = {}
    for path in sorted(HOME.rglob("_*.py")):
        if "params" in path.parts or "events" in path.parts:
            continue
        latest = ""
        for name, kind in _OBJECT.findall(path.read_text("utf-8")):
            latest = name or latest
            if kind:
                found[kind] = (str(path.relative_to(HOME)), latest)
    return found


@cache
def endpoints() -> tuple[Endpoint, ...]:
    """Every method of every service."""
    return tuple(found for path in sorted(HOME.rglob("_*_service.py")) for found in _endpoints(path))


@cache
def parameters(name: str) -> Fields:
    """The parameters of an endpoint, by the name of their class."""
    for path in (HOME / "params").rglob("_*.py"):
        if f"class {name}(" in path.read_text("utf-8"):
            return classes(str(path.relative_to(HOME)))[name]
    raise LookupError(name)


def _endpoints(path: Path) -> Iterator[Endpoint]:
    tree = ast.parse(path.read_text("utf-8"))
    for service in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for method in (node for node in service.body if isinstance(node, ast.FunctionDef)):
            for call in ast.walk(method):
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "self._request":
                    yield _endpoint(path, service.name, method, call)


def _endpoint(path: Path, service: str, method: ast.FunctionDef, call: ast.Call) -> Endpoint:
    http, address = call.args[0], call.args[1]
    if isinstance(address, ast.Call):  # "…{id}…".format(id=…)
        assert isinstance(address.func, ast.Attribute)
        address = address.func.value
    assert isinstance(http, ast.Constant)
    assert isinstance(address, ast.Constant)
    typed = [ast.unparse(arg.annotation) for arg in method.args.args if arg.arg == "params" and arg.annotation]
    name = re.search(r"\w+Params", typed[0]) if typed else None
    module = ".".join(["stripe", *path.relative_to(HOME).with_suffix("").parts])
    template = re.sub(r"\{[^}]*\}", "{}", str(address.value))
    return Endpoint(module, service, method.name, str(http.value).upper(), template, name[0] if name else "")
