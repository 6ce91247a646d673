"""One named finding, and what the files beside this one have in common."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...source import python_function
from ..simulator.core.operations import UNKNOWN_PLACE, Op
from ..simulator.trace.events import Event, Turn
from .launch import ProfiledLaunch


@dataclass(frozen=True)
class Finding:
    """Something that a kernel suffers from.

    Args:
        code: One of `codes.CODES`.
        function: The Triton function's name.
        place: ``file:line`` in its source.
        reason: What is there.
        help: What would help.
        cycles: By how many simulated cycles its launch would be shorter without it; None where the price is another
            one than cycles.
    """

    code: str
    function: str
    place: str
    reason: str
    help: str
    cycles: float | None = None


def events(launch: ProfiledLaunch) -> Iterator[Event]:
    """The different events of a launch's programs, each once, in the order in which they first happen."""
    happened = dict.fromkeys(event for trace in launch.simulation.execution.traces for event in trace)
    yield from (event for event in happened if not isinstance(event, Turn))


def place_of(op: Op, launch: ProfiledLaunch) -> str:
    """``file:line`` of an operation; of the function where the compiler added it without a line."""
    return head_of(launch.kernel) if op.location == UNKNOWN_PLACE else op.location


def head_of(kernel: Any, parameter: str = "") -> str:
    """``file:line`` of a Triton function's ``def``, or of one of its parameters."""
    function = python_function(kernel)
    lines, first = inspect.getsourcelines(function)
    head = ast.parse(textwrap.dedent("".join(lines))).body[0]
    declared = [*head.args.posonlyargs, *head.args.args, *head.args.kwonlyargs]
    line = next((one.lineno for one in declared if one.arg == parameter), head.lineno)
    return f"{inspect.getsourcefile(function)}:{first + line - 1}"
