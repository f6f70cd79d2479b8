"""JSON Schemas (2020-12) of the models, written out whole: one document each, without references."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from payments_core.published.incoming import INCOMING, DeletedFields, ProductFields
from payments_core.published.models import PUBLISHED

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
#: What explains a shape and does not make it.
_WORDS: Final = ("title", "description", "examples", "$id", "$schema", "$comment")
#: The data of what is consumed may stand alone; of what is published it never does.
_BARE: Final[dict[str, type[BaseModel]]] = {
    "product.created": ProductFields,
    "product.updated": ProductFields,
    "product.deleted": DeletedFields,
}

Models = Mapping[str, type[BaseModel]]
Schema = dict[str, Any]

MODELS: Final[Models] = {**PUBLISHED, **INCOMING}


def schema_id(kind: str, version: int) -> str:
    """What names a version of a shape for ever."""
    return f"urn:payments-core:{kind}/v{version}"


def schema_of(kind: str, model: type[BaseModel], version: int) -> Schema:
    """The schema of a type's messages."""
    shape = _shape(model)
    if kind in _BARE:
        words = {"title": kind, "description": shape.pop("description", "")}
        shape = {**words, "anyOf": [_shape(_BARE[kind]), {**shape, "description": "The same, with its type."}]}
    return {"$schema": DIALECT, "$id": schema_id(kind, version), "title": kind, **shape}


def fingerprint(kind: str, model: type[BaseModel]) -> str:
    """A hash of what the shape accepts: the same for other words, another for any other change."""
    bare = _without_words(schema_of(kind, model, 0))
    text = json.dumps(bare, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _shape(model: type[BaseModel]) -> Schema:
    made = model.model_json_schema(by_alias=True, mode="validation")
    definitions: Schema = made.pop("$defs", {})
    whole: Schema = _written_out(made, definitions)
    return whole


def _written_out(node: Any, definitions: Schema) -> Any:
    """References replaced by what they name; pydantic's own titles, and defaults that stand for "left out", removed."""
    if isinstance(node, list):
        return [_written_out(item, definitions) for item in node]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(node, dict):
        return node
    fields: Schema = dict(node)  # pyright: ignore[reportUnknownArgumentType]
    target = fields.pop("$ref", None)
    if isinstance(target, str):
        fields = {**definitions[target.rpartition("/")[2]], **fields}
    if fields.get("default", ...) is None:
        del fields["default"]
    properties: Schema = fields.pop("properties", {})
    if isinstance(fields.get("title"), str):
        del fields["title"]
    written = {key: _written_out(value, definitions) for key, value in fields.items()}
    if properties:
        # Names of properties are no keywords: one may be called "title".
        written["properties"] = {name: _written_out(value, definitions) for name, value in properties.items()}
    return written


def _without_words(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_words(item) for item in node]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(node, dict):
        return node
    fields: Schema = dict(node)  # pyright: ignore[reportUnknownArgumentType]
    properties: Schema = fields.pop("properties", {})
    bare = {key: _without_words(value) for key, value in fields.items() if key not in _WORDS}
    if properties:
        bare["properties"] = {name: _without_words(value) for name, value in properties.items()}
    return bare
