"""Scalar operations and views that follow each other, written as one Python function.

Called one by one, they cost more in calls than in what they compute.
"""

import math
from collections.abc import Callable, Container, Sequence
from typing import Any, NamedTuple

from xdsl.ir import SSAValue

from ..core.operations import Op, placed
from ..dialects.scalar_loops import SPACE, line_of

FEWEST = 3
"""Operations for which a function of their own is worth writing."""


class Pure(NamedTuple):
    """An operation that is a function of its operands; ``text`` says it in Python, as `Translator.pure` takes it."""

    op: Op
    function: Callable[..., Any]
    text: str
    step: Callable[[list], None]


def straight(run: Sequence[Pure], slot: Callable[[SSAValue], int], known: dict[SSAValue, Any]) -> Callable:
    """One step for operations that follow each other; only what others use is kept in the environment.

    Args:
        slot: Where the environment keeps a value.
        known: Values that do not change.
    """
    inside = {pure.op.raw for pure in run}
    names: dict[SSAValue, str] = {}
    space = dict(SPACE)
    lines: list[str] = []
    places: dict[int, Op] = {}

    def named(value: SSAValue) -> str:
        if value in known and _literal(known[value]):
            return f"({known[value]!r})"
        if value not in names:
            names[value] = f"v{len(names)}"
            lines.append(f"    {names[value]} = env[{slot(value)}]")
        return names[value]

    for pure in run:
        operands = [named(operand) for operand in pure.op.operands]
        function = f"f{len(space)}"
        space[function] = pure.function
        results = [names.setdefault(result, f"v{len(names)}") for result in pure.op.results]
        text = (pure.text or "{f}(" + ", ".join(operands) + ")").format(*operands, f=function)
        lines.append(f"    {', '.join(results)} = {text}")
        places[len(lines) + 1] = pure.op
        for result in pure.op.results:
            if _used_elsewhere(result, inside):
                lines.append(f"    env[{slot(result)}] = {names[result]}")
    exec(compile("\n".join(["def straight(env):", *lines]), f"<{run[0].op!r}>", "exec"), space)
    function = space["straight"]

    def step(env: list) -> None:
        try:
            function(env)
        except Exception as error:
            raise placed(error, places.get(line_of(error, function), run[0].op))

    return step


def _literal(value: Any) -> bool:
    return type(value) in (bool, int) or (type(value) is float and math.isfinite(value))


def _used_elsewhere(value: SSAValue, inside: Container) -> bool:
    return any(use.operation not in inside for use in value.uses)
