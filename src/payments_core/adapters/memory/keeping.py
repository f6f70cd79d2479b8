"""`CatalogueGateway` without a server: products and prices that are changed as Stripe would change them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, cast

from payments_core.domain.catalogue import ListedProduct
from payments_core.domain.price_objects import listed_product
from payments_core.domain.stripe_objects import Document, reference
from payments_core.errors import StripeError, StripeObjectMissing


class MemoryCatalogue(ABC):
    """Products and prices; see `payments_core.ports.catalogue.CatalogueGateway`. `_called` notes calls and fails."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[str, Document]] = {}
        self._keys: dict[str, tuple[object, str]] = {}
        self._made = 0

    @abstractmethod
    def _called(self, method: str, *arguments: str) -> None:
        """Note a call; raise what the test wants raised."""

    async def listed(self, product_id: str) -> ListedProduct | None:
        """See CatalogueGateway."""
        self._called("listed", product_id)
        product = self._objects["product"].get(product_id)
        if product is None:
            return None
        prices = [{"active": True, **price} for price in self._objects["price"].values()]
        active = [one for one in prices if reference(one, "product") == product_id and one["active"] is True]
        return listed_product({"active": True, **product}, active)

    async def create_product(self, params: Mapping[str, Any], *, idempotency_key: str) -> None:
        """See CatalogueGateway."""
        self._called("create_product", idempotency_key)
        if self._is_repeat(idempotency_key, params) is not None:
            return
        if params["id"] in self._objects["product"]:
            raise _refused("The product exists already.", "resource_already_exists", "id")
        self._objects["product"][params["id"]] = {"object": "product", "active": True, **_without(params)}
        if "default_price_data" in params:
            price_id = self._add_price({**params["default_price_data"], "product": params["id"]})
            self._change("product", params["id"], {"default_price": price_id})
        self._keys[idempotency_key] = (deepcopy(params), params["id"])

    async def update_product(self, product_id: str, params: Mapping[str, Any], *, idempotency_key: str) -> None:
        """See CatalogueGateway."""
        self._called("update_product", product_id, idempotency_key)
        if self._is_repeat(idempotency_key, (product_id, params)) is not None:
            return
        default = params.get("default_price")
        if default is not None and self._existing("price", str(default)).get("active", True) is not True:
            raise _refused("The default price must be active.", None, "default_price")
        self._change("product", product_id, params)
        self._keys[idempotency_key] = (deepcopy((product_id, params)), product_id)

    async def create_price(self, params: Mapping[str, Any], *, idempotency_key: str) -> str:
        """See CatalogueGateway."""
        self._called("create_price", idempotency_key)
        before = self._is_repeat(idempotency_key, params)
        if before is not None:
            return before
        self._existing("product", str(params["product"]))
        self._free_lookup_key(params)
        price_id = self._add_price({name: value for name, value in params.items() if name != "transfer_lookup_key"})
        self._keys[idempotency_key] = (deepcopy(params), price_id)
        return price_id

    async def update_price(self, price_id: str, params: Mapping[str, Any], *, idempotency_key: str) -> None:
        """See CatalogueGateway."""
        self._called("update_price", price_id, idempotency_key)
        if self._is_repeat(idempotency_key, (price_id, params)) is not None:
            return
        product_id = reference(self._existing("price", price_id), "product") or ""
        product = self._objects["product"].get(product_id, {})
        if params.get("active") is False and reference(product, "default_price") == price_id:
            raise _refused("The price is the default price of its product.", None, None)
        self._change("price", price_id, params)
        self._keys[idempotency_key] = (deepcopy((price_id, params)), price_id)

    def _free_lookup_key(self, params: Mapping[str, Any]) -> None:
        wanted = params.get("lookup_key")
        holder = next(
            (one for one in self._objects["price"].values() if wanted and one.get("lookup_key") == wanted), None
        )
        if holder is not None:
            if not params.get("transfer_lookup_key"):
                raise _refused("Another price has the lookup key.", None, "lookup_key")
            self._change("price", str(holder["id"]), {"lookup_key": ""})

    def _add_price(self, params: Mapping[str, Any]) -> str:
        self._made += 1
        price_id = f"price_memory{self._made}"
        shape = {"id": price_id, "object": "price", "active": True, "type": "one_time", "billing_scheme": "per_unit"}
        self._objects["price"][price_id] = {**shape, **deepcopy(dict(params))}
        return price_id

    def _change(self, kind: str, object_id: str, params: Mapping[str, Any]) -> None:
        changed = dict(self._existing(kind, object_id))
        for name, value in params.items():
            if name == "metadata":
                merged = {**changed.get("metadata", {}), **cast("dict[str, str]", value)}
                changed["metadata"] = {key: text for key, text in merged.items() if text != ""}
            else:
                changed[name] = ([] if name == "images" else None) if value == "" else deepcopy(value)
        self._objects[kind][object_id] = changed

    def _existing(self, kind: str, object_id: str) -> Document:
        found = self._objects[kind].get(object_id)
        if found is None:
            raise StripeObjectMissing("No such object was put into the memory gateway.", "resource_missing")
        return found

    def _is_repeat(self, key: str, request: object) -> str | None:
        """What the first request under the key made; None for a new key."""
        before = self._keys.get(key)
        if before is None:
            return None
        if before[0] != request:
            raise _refused("The idempotency key was used before with other parameters.", "idempotency_error", None)
        return before[1]


def _without(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: deepcopy(value) for name, value in params.items() if name != "default_price_data"}


def _refused(message: str, code: str | None, param: str | None) -> StripeError:
    error = StripeError(message, code, param=param)
    error.answered = 400
    return error
