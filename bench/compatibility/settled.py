"""Tests whose failures were settled by hand: what is wrong, and where."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from .causes import TEST, Cause


class Settled(NamedTuple):
    """Failures of one test function.

    Args:
        test: The end of its name: ``file::function``.
        errors: What one of the errors must contain, so that another failure is not taken for this one.
        words: What is wrong, and how that is known.
    """

    repository: str
    test: str
    errors: str
    cause: Cause
    words: str


SETTLED = (
    Settled(
        "triton-ascend",
        "test_cdiv.py::test_cdiv",
        "AssertionError",
        TEST,
        "divides by random integers without leaving out 0",
    ),
)


def settled(repository: str, row: Mapping[str, Any]) -> Settled | None:
    """What was settled about a recorded test; None if nothing was."""
    for one in SETTLED:
        if one.repository == repository and row["function"].endswith(one.test):
            if any(one.errors in error for error in row["errors"]):
                return one
    return None
