"""What people type on the command line, read and checked: configurations, grids, options, words of NAME=VALUE."""

import ast
from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from cold_kernels.record import Record

if TYPE_CHECKING:
    from cold_kernels.ascend.options import CompileOptions
    from cold_kernels.spec import KernelSpec


def pairs(text: str, example: str, separators: str = "") -> Iterator[tuple[str, str]]:
    """The words of ``NAME=VALUE``, between spaces and ``separators``, each name once.

    Raises:
        ValueError: a word of another form, or a name twice.
    """
    seen = set()
    for separator in separators:
        text = text.replace(separator, " ")
    for word in text.split():
        name, equals, value = word.partition("=")
        if not (name.isidentifier() and equals and value):
            raise ValueError(f"cannot read {word!r}; write NAME=VALUE, as in {example!r}")
        if name in seen:
            raise ValueError(f"{name} is given twice in {text!r}")
        seen.add(name)
        yield name, value


def config_of(text: str, spec: "KernelSpec", others: Record) -> Record:
    """The configuration that ``text`` names; tunables that it does not mention are as in ``others``.

    Raises:
        ValueError: a name that is no tunable, or a value that the tunable does not have.
    """
    chosen = dict(others)
    for name, value in pairs(text, f"{spec.default}", ","):
        if name not in spec.space:
            raise ValueError(f"{spec.name} has no tunable {name!r}; it has {', '.join(spec.space) or 'none'}")
        values = {str(known): known for known in spec.space[name].values}
        if value not in values:
            raise ValueError(f"{name}={value}: {name} is one of {', '.join(values)}")
        chosen[name] = values[value]
    return Record(chosen)


def grid_of(text: str) -> tuple[int, ...]:
    """``8`` or ``8,4,2`` as a grid.

    Raises:
        ValueError: not one to three positive integers.
    """
    sizes = text.replace("x", ",").split(",")
    if not 1 <= len(sizes) <= 3 or not all(size.strip().isdecimal() and int(size) for size in sizes):
        raise ValueError(f"--grid {text}: write one to three positive integers, as 8 or 8,4")
    return tuple(map(int, sizes))


def options_of(text: str) -> "CompileOptions":
    """Compiler switches from ``multi_buffer=False sync_solver=True``.

    Raises:
        ValueError: no such switch, or a value that it does not take.
    """
    from cold_kernels.ascend.options import CompileOptions

    known = [field.name for field in fields(CompileOptions)]
    chosen: dict[str, Any] = {}
    for name, value in pairs(text, "multi_buffer=False"):
        if name not in known:
            raise ValueError(f"there is no compiler option {name!r}; use one of {', '.join(known)}")
        chosen[name] = literal(value)
    return CompileOptions(**chosen)


def literal(text: str) -> Any:
    """A Python number, truth value, None or quoted string; other text stays text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
