"""Immutable mappings with attribute access: configurations and dimensions."""

from collections.abc import Iterator, Mapping
from typing import Any


class Record(Mapping[str, Any]):
    """A hashable mapping whose keys are also attributes: ``config["TILE_H"] == config.TILE_H``.

    Order is that of the constructor; equality and hash ignore it.
    """

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, Any] = (), **more: Any) -> None:
        object.__setattr__(self, "_items", {**dict(items), **more})

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __getattr__(self, name: str) -> Any:
        try:
            return object.__getattribute__(self, "_items")[name]
        except KeyError:
            raise AttributeError(f"no {name!r} here; have {', '.join(self._items) or 'nothing'}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a record is immutable: build another one with {name} = {value!r}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return " ".join(f"{key}={value}" for key, value in self._items.items())

    def __reduce__(self) -> tuple:
        return type(self), (self._items,)
