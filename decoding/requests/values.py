"""Values as callers have them: Python's numbers, NumPy's and torch's."""

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any


def number(value: Any) -> int | float | None:
    """A real number as Python's own; None if it is none, as truth values, texts and arrays are."""
    if getattr(value, "ndim", None) == 0:  # NumPy's and torch's
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    return int(value) if isinstance(value, Integral) else float(value)


def whole(value: Any) -> int | None:
    """A whole number as Python's own; None if it is none, as 5.0 is."""
    value = number(value)
    return value if isinstance(value, int) else None


def members(value: Any) -> list:
    """What a list, a range, a set or an array holds; of a value that is no collection, or is a text, itself alone."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return list(value) if isinstance(value, Iterable) and not isinstance(value, (str, bytes)) else [value]


def token_ids(name: str, value: Any, vocabulary: int) -> list[int]:
    """One token id or several as a list.

    Raises:
        ValueError: a member that is none; ``name`` is what the message calls the value.
    """
    ids = []
    for member in members(value):
        token = whole(member)
        if token is None or not 0 <= token < vocabulary:
            raise ValueError(f"{name} holds {member!r}; token ids are whole numbers from 0 to {vocabulary - 1}")
        ids.append(token)
    return ids
